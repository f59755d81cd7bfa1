/** Who sits here. Law: rights are the server's; the console only leaves away what it would refuse. */
import { isFields, textOf } from '../lib/decode';

export interface Session {
  readonly user: string;
  readonly role: string;
  readonly desk: string;
  readonly zone: string;
  readonly isReadOnly: boolean;
  readonly isNarrowed: boolean;
  /** When it ends, by the server's clock; null: it did not say. */
  readonly untilMs: number | null;
}

export function readSession(value: unknown): Session | null {
  if (!isFields(value)) return null;
  const user = textOf(value['user']);
  const role = textOf(value['role']);
  if (user === null || role === null) return null;
  const untilMs = Date.parse(textOf(value['until']) ?? '');
  return {
    user,
    role: role.toLowerCase(),
    desk: textOf(value['desk']) ?? '',
    zone: textOf(value['zone']) ?? 'Asia/Tashkent',
    isReadOnly: value['read_only'] === true,
    isNarrowed: value['narrowed'] === true,
    untilMs: Number.isNaN(untilMs) ? null : untilMs,
  };
}

/** Who sees the control room, and so the live line. */
export const WATCHING: readonly string[] = ['operator', 'supervisor', 'auditor'];

export function doesWatch({ role }: Session): boolean {
  return WATCHING.includes(role);
}

/** Who may acknowledge and act; the others read. */
export function mayAct({ role, isReadOnly }: Session): boolean {
  return !isReadOnly && (role === 'operator' || role === 'supervisor');
}
