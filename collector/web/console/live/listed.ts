/**
 * The list of alerts, page by page, as far as the queue is built for.
 * Law: what is left out is counted and said; of a list of which a page is missing nothing is used.
 */
import { isFields, isList, numberOf, textOf } from '../lib/decode';
import type { Fields } from '../lib/decode';

export const PAGES_MAX = 25; // of 200 rows: the 5,000 active alerts for which the queue is built

export interface Listed {
  readonly rows: readonly unknown[];
  readonly feed: number;
  /** Alerts behind the last page that was read. */
  readonly leftOut: number;
}

/** A list, or null if a page did not come. `ask` gives what the centre says to a path, null for no answer. */
export async function listed(view: 'active' | 'shelved', ask: (path: string) => Promise<unknown>): Promise<Listed | null> {
  const rows: unknown[] = [];
  let feed = Number.POSITIVE_INFINITY;
  let after = '';
  for (let page = 1; ; page += 1) {
    const answer = await ask(`/alerts?view=${view}&after=${encodeURIComponent(after)}`);
    if (!isFields(answer)) return null;
    feed = Math.min(feed, numberOf(answer['feed']) ?? feed);
    if (isList(answer['rows'])) rows.push(...answer['rows']);
    after = textOf(answer['more']) ?? '';
    if (after !== '' && page < PAGES_MAX) continue;
    const leftOut = after === '' ? 0 : Math.max(1, countOf(view, answer['counts']) - shownBy(rows));
    return { rows, feed: Number.isFinite(feed) ? feed : 0, leftOut };
  }
}

/** A row and what is folded under it: the centre counts both. */
function shownBy(rows: readonly unknown[]): number {
  return rows.reduce<number>((sum, row) => sum + 1 + ((isFields(row) ? numberOf(row['more']) : null) ?? 0), 0);
}

function countOf(view: 'active' | 'shelved', counts: unknown): number {
  if (!isFields(counts)) return 0;
  if (view === 'shelved') return numberOf(counts['shelved']) ?? 0;
  const alerts: Fields = isFields(counts['alerts']) ? counts['alerts'] : {};
  return Object.values(alerts).flat().reduce<number>((sum, n) => sum + (numberOf(n) ?? 0), 0);
}
