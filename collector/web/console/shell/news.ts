/** What is said aloud of new alerts (CONSOLE section 3): criticals at once, the others when there is a pause. Law: pure; what was there at the start is no news. */
import { isActive, whatOf } from '../lib/alerts';
import type { Alert } from '../lib/alerts';
import type { Words } from '../lib/words';

const NAMED_MAX = 3; // of more than that, only how many

export interface News {
  /** For `role=alert`. */
  readonly urgent: string;
  /** For `role=status`. */
  readonly calm: string;
}

/** What came since `known`, in words; '' where nothing did. */
export function newsOf(words: Words, known: ReadonlySet<string>, alerts: Iterable<Alert>): News {
  const urgent: Alert[] = [];
  const calm: Alert[] = [];
  for (const alert of alerts) {
    if (known.has(alert.id) || !isActive(alert) || alert.under !== '' || alert.state !== 'UNACKED') continue;
    (alert.prio === 1 ? urgent : calm).push(alert);
  }
  return { urgent: told(words, urgent), calm: told(words, calm) };
}

function told(words: Words, alerts: readonly Alert[]): string {
  if (alerts.length > NAMED_MAX) return words.counted('room.new', alerts.length);
  return alerts.map((alert) => `${alert.plate || alert.no}: ${whatOf(words, alert)}`).join('. ');
}
