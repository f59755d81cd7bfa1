/**
 * What a person may do to an alert, and what each act asks for (DETECTION section 9).
 * Law: the server decides; here is only what it would not refuse, so that no button is a dead end.
 */
import { isActive, isLatched, isResting, shelveHours } from '../lib/alerts';
import type { Alert } from '../lib/alerts';

export const ACTS = ['ack', 'take', 'dispatch', 'note', 'shelve', 'unshelve', 'resolve', 'reset', 'second'] as const;
export type Act = (typeof ACTS)[number];

/** The fields of an act's form, none for an act that is one press. */
export interface Asks {
  readonly text: 'reason' | 'note' | 'whom' | null;
  readonly outcome: boolean;
  readonly hours: boolean;
}

const NOTHING: Asks = { text: null, outcome: false, hours: false };

export function asks(act: Act): Asks {
  switch (act) {
    case 'note':
      return { ...NOTHING, text: 'note' };
    case 'dispatch':
      return { ...NOTHING, text: 'whom' };
    case 'shelve':
      return { ...NOTHING, text: 'reason', hours: true };
    case 'resolve':
    case 'reset':
      return { ...NOTHING, text: 'reason', outcome: true };
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
    case 'dispatch':
    case 'note':
      return state !== 'CLOSED';
    case 'shelve':
      return (state === 'UNACKED' || state === 'ACKED') && shelveHours(alert.prio) > 0;
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
