/** What an admin looks after, decoded. Law: pure; a list that is none is refused by name, and a row that cannot be read is left out of no count. */
import { Refused, isFields, isList, numberOf, textOf } from '../lib/decode';
import type { Fields } from '../lib/decode';

export const ROLES = ['operator', 'supervisor', 'officer', 'auditor', 'admin'] as const;

export interface User {
  readonly user: string;
  readonly name: string;
  readonly role: string;
  readonly scope: string;
  readonly desk: string;
  readonly isSetUp: boolean;
  readonly linkUntilMs: number | null;
  readonly lockedMs: number | null;
}

export interface Desk {
  readonly desk: string;
  readonly name: string;
  readonly scope: string;
  readonly fallback: string;
}

export interface Session {
  readonly session: string;
  readonly kind: string;
  readonly user: string;
  readonly role: string;
  readonly scope: string;
  readonly address: string;
  readonly beganMs: number | null;
  readonly untilMs: number | null;
  readonly seenMs: number | null;
}

export interface Unit {
  readonly unit: string;
  readonly number: number;
  readonly scope: string;
  readonly enrolledMs: number | null;
  readonly keys: readonly string[];
}

export interface Request {
  readonly unit: string;
  readonly fingerprint: string;
  readonly state: string;
  readonly hardware: string;
  readonly askedBy: string;
  readonly decidedBy: string;
  readonly postedMs: number | null;
  readonly untilMs: number | null;
}

export interface Version {
  readonly version: number;
  readonly sinceMs: number | null;
  readonly by: string;
  readonly approvedBy: string;
  readonly thresholds: readonly (readonly [string, unknown])[];
  readonly changed: readonly { readonly kind: string; readonly id: string; readonly isGone: boolean }[];
}

/** A secret that is told this once. */
export interface Told {
  readonly secret: string;
  readonly untilMs: number | null;
  /** Rows of a QR code, `1` for dark; none: there is no code of it. */
  readonly qr: readonly string[];
}

export function listOf<T>(value: unknown, name: string, read: (row: Fields) => T | null): readonly T[] | Refused {
  const found = isFields(value) ? value[name] : null;
  if (!isList(found)) return new Refused(`no_${name}`);
  return found.flatMap((row) => {
    const one = isFields(row) ? read(row) : null;
    return one === null ? [] : [one];
  });
}

export function moreOf(value: unknown): string {
  return (isFields(value) && textOf(value['more'])) || '';
}

export function userOf(row: Fields): User | null {
  const [user, role] = [textOf(row['user']), textOf(row['role'])];
  if (user === null || role === null) return null;
  return {
    user,
    role,
    name: text(row, 'name'),
    scope: text(row, 'scope'),
    desk: text(row, 'desk'),
    isSetUp: row['set_up'] === true,
    linkUntilMs: msOf(row['setup_until']),
    lockedMs: msOf(row['locked_at']),
  };
}

export function deskOf(row: Fields): Desk | null {
  const desk = textOf(row['desk']);
  return desk === null ? null : { desk, name: text(row, 'name'), scope: text(row, 'scope'), fallback: text(row, 'fallback') };
}

export function sessionOf(row: Fields): Session | null {
  const [session, user] = [textOf(row['session']), textOf(row['user'])];
  if (session === null || user === null) return null;
  return {
    session,
    user,
    kind: text(row, 'kind'),
    role: text(row, 'role'),
    scope: text(row, 'scope'),
    address: text(row, 'address'),
    beganMs: msOf(row['began']),
    untilMs: msOf(row['until']),
    seenMs: msOf(row['seen']),
  };
}

export function unitOf(row: Fields): Unit | null {
  const [unit, number] = [textOf(row['unit']), numberOf(row['number'])];
  if (unit === null || number === null) return null;
  const keys = isList(row['keys_in_force']) ? row['keys_in_force'].map(String) : [];
  return { unit, number, scope: text(row, 'scope'), enrolledMs: msOf(row['enrolled_at']), keys };
}

export function requestOf(row: Fields): Request | null {
  const [unit, fingerprint] = [textOf(row['unit']), textOf(row['fingerprint'])];
  if (unit === null || fingerprint === null) return null;
  return {
    unit,
    fingerprint,
    state: text(row, 'state'),
    hardware: text(row, 'hardware'),
    askedBy: text(row, 'asked_by'),
    decidedBy: text(row, 'decided_by'),
    postedMs: msOf(row['posted']),
    untilMs: msOf(row['until']),
  };
}

export function versionOf(row: Fields): Version | null {
  const version = numberOf(row['version']);
  if (version === null) return null;
  const changed = isList(row['changed']) ? row['changed'].filter(isFields) : [];
  return {
    version,
    sinceMs: msOf(row['since']),
    by: text(row, 'by'),
    approvedBy: text(row, 'approved_by'),
    thresholds: thresholdsOf(row['thresholds']),
    changed: changed.map((one) => ({ kind: text(one, 'kind'), id: text(one, 'id'), isGone: one['sha256'] === null })),
  };
}

/** Each threshold by name, nested ones with a dot, as it would stand in a file; its value as it came. */
export function thresholdsOf(value: unknown): readonly (readonly [string, unknown])[] {
  if (!isFields(value)) return [];
  return Object.entries(value)
    .flatMap(([key, said]): (readonly [string, unknown])[] =>
      isFields(said) ? thresholdsOf(said).map(([inner, one]) => [`${key}.${inner}`, one]) : [[key, said]],
    )
    .sort(([one], [other]) => (one < other ? -1 : 1));
}

/** The secret under one of these names, with its end and its code. */
export function toldOf(value: unknown, name: 'path' | 'token'): Told | null {
  if (!isFields(value)) return null;
  const secret = textOf(value[name]);
  const qr = isList(value['qr']) ? value['qr'].map(String).filter((row) => /^[01]+$/.test(row)) : [];
  return secret === null ? null : { secret, untilMs: msOf(value['until']), qr };
}

/** The path of an SVG: one square for each dark module. */
export function modulesOf(qr: readonly string[]): string {
  return qr.map((row, y) => Array.from(row.matchAll(/1+/g), (run) => `M${run.index} ${y}h${run[0].length}v1h-${run[0].length}z`).join('')).join('');
}

/** Hex digits in four groups, however they were typed; null: these are not sixteen. */
export function fingerprintOf(typed: string): string | null {
  const digits = typed.replace(/[\s:-]/g, '').toLowerCase();
  return /^[0-9a-f]{16}$/.test(digits) ? digits.replace(/(.{4})(?=.)/g, '$1 ') : null;
}

function text(row: Fields, name: string): string {
  return textOf(row[name]) ?? '';
}

function msOf(value: unknown): number | null {
  const ms = Date.parse(textOf(value) ?? '');
  return Number.isNaN(ms) ? null : ms;
}
