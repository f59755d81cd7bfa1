/**
 * The queue's order, and who may move in it (CONSOLE section 2).
 * Law: un-acknowledged, priority, oldest first; the row under the pointer never moves.
 */
import { isUnseen } from '../lib/alerts';
import type { Alert } from '../lib/alerts';

export const BAND_MAX = 5; // un-acknowledged criticals that stand above the list
export const HOLD_MS = 2_000; // inserts wait so long after the pointer moved over the list
export const REST_MS = 200; // so long the eye rests on an alert before the centre is asked for more of it: who runs down a list asks for nothing
export const YOUNG_MS = 500; // a key never acts on a younger row
export const CHATTER_MS = 600_000; // DETECTION section 9: until ten minutes without a change
export const STALE_MS = 86_400_000;

export function inQueueOrder(rows: readonly Alert[]): readonly Alert[] {
  return [...rows].sort(
    (a, b) =>
      Number(isUnseen(b)) - Number(isUnseen(a)) || a.prio - b.prio || a.sinceMs - b.sinceMs || (a.id < b.id ? -1 : 1),
  );
}

/** A row on the screen; `isGone`: it left the view while the pointer held the list still. */
export interface Shown {
  readonly alert: Alert;
  readonly isGone: boolean;
}

/** What the list shows next: all that is wanted, or, while it is held, the rows that are there, with what they have become. */
export function settled(
  shown: readonly Shown[],
  wanted: readonly Alert[],
  isHeld: boolean,
): { readonly rows: readonly Shown[]; readonly waiting: number } {
  if (!isHeld) return { rows: wanted.map((alert) => ({ alert, isGone: false })), waiting: 0 };
  const now = new Map(wanted.map((alert) => [alert.id, alert]));
  const rows = shown.map(({ alert }) => {
    const found = now.get(alert.id);
    return { alert: found ?? alert, isGone: found === undefined };
  });
  const there = new Set(shown.map(({ alert }) => alert.id));
  return { rows, waiting: wanted.filter(({ id }) => !there.has(id)).length };
}

/** Alerts that stand by themselves: those under another are counted by it, unless it is gone. */
export function unfolded(rows: readonly Alert[], all: ReadonlyMap<string, Alert>): readonly Alert[] {
  return rows.filter(({ under }) => under === '' || (all.get(under)?.state ?? 'CLOSED') === 'CLOSED');
}

/** Un-acknowledged criticals, the oldest first. */
export function bandOf(rows: readonly Alert[]): readonly Alert[] {
  return rows.filter((row) => row.prio === 1 && isUnseen(row)).slice(0, BAND_MAX);
}

/** In a flood: criticals single, the rest by cause. A cause with one row stays a row. */
export interface Group {
  readonly code: string;
  readonly prio: number;
  readonly rows: readonly Alert[];
}

export function groupsOf(rows: readonly Alert[]): { readonly single: readonly Alert[]; readonly groups: readonly Group[] } {
  const single: Alert[] = [];
  const byCode = new Map<string, Alert[]>();
  for (const row of rows) {
    if (row.prio === 1) single.push(row);
    else byCode.set(row.code, [...(byCode.get(row.code) ?? []), row]);
  }
  const groups: Group[] = [];
  for (const [code, members] of byCode) {
    if (members.length === 1) single.push(members[0]!);
    else groups.push({ code, prio: Math.min(...members.map(({ prio }) => prio)), rows: members });
  }
  groups.sort((a, b) => a.prio - b.prio || b.rows.length - a.rows.length);
  return { single: inQueueOrder(single), groups };
}
