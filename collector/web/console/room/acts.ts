/**
 * What a person may do to an alert, and what each act asks for (DETECTION section 9).
 * Law: the server decides; here is only what it would not refuse, so that no button is a dead end.
 */
import { isActive, isLatched, isResting, shelveHours } from '../lib/alerts';
import type { Alert } from '../lib/alerts';

export const ACTS = ['ack', 'take', 'assign', 'dispatch', 'note', 'shelve', 'unshelve', 'resolve', 'reset', 'second', 'take-out'] as const;
export type Act = (typeof ACTS)[number];

/** The fields of an act's form, none for an act that is one press. */
export interface Asks {
  readonly text: 'reason' | 'note' | 'whom' | null;
  readonly outcome: boolean;
  /** For how long, in minutes; none: it has no end of its own. */
  readonly rests: readonly number[];
  /** In whose hands it is from then on. */
  readonly person: boolean;
}

const NOTHING: Asks = { text: null, outcome: false, rests: [], person: false };
const SHELVED_MIN = [15, 30, 60, 120, 240];
const OUT_MIN = [60, 480, 1_440, 10_080, 43_200];

/** Whether it is done with one press. */
export function isPlain({ text, outcome, rests, person }: Asks): boolean {
  return text === null && !outcome && rests.length === 0 && !person;
}

export function asks(act: Act, prio: number): Asks {
  switch (act) {
    case 'note':
      return { ...NOTHING, text: 'note' };
    case 'dispatch':
      return { ...NOTHING, text: 'whom' };
    case 'shelve':
      return { ...NOTHING, text: 'reason', rests: SHELVED_MIN.filter((minutes) => minutes <= shelveHours(prio) * 60) };
    case 'resolve':
    case 'reset':
      return { ...NOTHING, text: 'reason', outcome: true };
    case 'take-out':
      return { ...NOTHING, text: 'reason', rests: OUT_MIN };
    case 'assign':
      return { ...NOTHING, person: true };
    case 'ack':
    case 'take':
    case 'unshelve':
    case 'second':
      return NOTHING;
  }
}

export function isPossible(act: Act, alert: Alert, me: { readonly user: string; readonly role: string }): boolean {
  const { state } = alert;
  switch (act) {
    case 'ack':
      return state === 'UNACKED' || state === 'CLEARED_UNACKED';
    case 'take':
      return state !== 'CLOSED' && alert.owner !== me.user;
    case 'assign':
    case 'dispatch':
    case 'note':
      return state !== 'CLOSED';
    case 'shelve':
      return (state === 'UNACKED' || state === 'ACKED') && shelveHours(alert.prio) > 0;
    case 'take-out':
      return (state === 'UNACKED' || state === 'ACKED' || state === 'SHELVED') && (alert.prio > 1 || me.role === 'supervisor');
    case 'unshelve':
      return isResting(alert);
    case 'resolve':
      return isActive(alert) && state !== 'UNACKED' && !isLatched(alert);
    case 'reset':
      return state === 'ACKED' && isLatched(alert);
    case 'second':
      return state === 'RESET_PROPOSED' && me.role === 'supervisor';
  }
}

/** Who changed a row before us, as far as it says so: the one in whose hands it now is, who proposed to close it, or who saw it. */
export function quicker(before: Alert, after: Alert): string {
  if (after.owner !== before.owner) return after.owner;
  if (after.proposedBy !== before.proposedBy) return after.proposedBy;
  return after.seenBy === before.seenBy ? '' : after.seenBy;
}
