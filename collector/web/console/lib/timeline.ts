/**
 * All that happened to a unit in one list: alerts, events, orders, gaps.
 * Law: pure; the newest first; nothing outside the time that is shown, and what was cut off is said.
 */
import { nameOf, readAlert, shown } from './alerts';
import type { Alert } from './alerts';
import { Refused, isFields, isList, momentOf, textOf } from './decode';
import { gaps } from './way';
import type { Gap, Way } from './way';
import type { Words } from './words';

export const KINDS = ['alert', 'event', 'order', 'gap'] as const;
export type Kind = (typeof KINDS)[number];

export type Entry =
  | { readonly kind: 'alert' | 'event'; readonly key: string; readonly atMs: number; readonly alert: Alert }
  | { readonly kind: 'order'; readonly key: string; readonly atMs: number; readonly order: Order }
  | { readonly kind: 'gap'; readonly key: string; readonly atMs: number; readonly gap: Gap };

export interface Order {
  readonly kind: string;
  readonly state: string;
  readonly by: string;
}

export interface Sources {
  readonly alerts: unknown;
  readonly events: unknown;
  readonly orders: unknown;
  readonly way: Way | null;
}

export function entriesOf({ alerts, events, orders, way }: Sources, beginMs: number, endMs: number): Entry[] {
  const found: Entry[] = [
    ...rowsOf(alerts).map((alert) => ({ kind: 'alert' as const, key: `a${alert.id}`, atMs: alert.sinceMs, alert })),
    ...rowsOf(events).map((alert) => ({ kind: 'event' as const, key: `e${alert.id}${alert.rev}`, atMs: alert.sinceMs, alert })),
    ...ordersOf(orders),
    ...(way === null ? [] : gaps(way)).map((gap, i) => ({ kind: 'gap' as const, key: `g${i}`, atMs: gap.beginMs, gap })),
  ];
  return found.filter(({ atMs }) => atMs >= beginMs && atMs <= endMs).sort((a, b) => b.atMs - a.atMs);
}

/** The newest entry at or before a moment; null before the first. */
export function entryAt(entries: readonly Entry[], ms: number): Entry | null {
  return entries.find(({ atMs }) => atMs <= ms) ?? null;
}

/** What is no alert: its name, and the place or thing that it concerns. */
export function eventWords(words: Words, alert: Alert): string {
  const key = `event.${alert.code}`;
  const name = words.has(key) ? words.text(key) : nameOf(words, alert.code);
  const of = alert.p['zone'] ?? alert.p['route'] ?? alert.p['seal'];
  return typeof of === 'string' && of ? `${name}: ${shown(of)}` : name;
}

function rowsOf(answer: unknown): Alert[] {
  const rows = isFields(answer) && isList(answer['rows']) ? answer['rows'] : [];
  return rows.map(readAlert).filter((row): row is Alert => !(row instanceof Refused));
}

function ordersOf(answer: unknown): Entry[] {
  const rows = isFields(answer) && isList(answer['orders']) ? answer['orders'] : [];
  return rows.filter(isFields).flatMap((row) => {
    const [id, atMs] = [textOf(row['id']), momentOf(row['issued_at'])];
    if (id === null || atMs === null) return [];
    const order = { kind: textOf(row['kind']) ?? '', state: textOf(row['state']) ?? '', by: textOf(row['by']) ?? '' };
    return [{ kind: 'order' as const, key: `o${id}`, atMs, order }];
  });
}
