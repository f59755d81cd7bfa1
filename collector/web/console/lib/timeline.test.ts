import { expect, test } from 'vitest';
import { entriesOf, entryAt } from './timeline';
import type { Way } from './way';

const ROW = { id: 'ab', rev: 1, no: 7, code: 'SEAL_OPEN_UNAUTHORISED', prio: 1, stage: 'UNACKED' };
const SOURCES = {
  alerts: { rows: [{ ...ROW, since: 2_000 }, { ...ROW, id: 'old', since: 1 }, { id: 'broken' }] },
  events: { rows: [{ ...ROW, id: 'cd', code: 'STOP_BEGAN', prio: 0, stage: 'CLOSED', since: 3_000 }] },
  orders: { orders: [{ id: 'x', kind: 'arm', state: 'DONE', by: 'op', issued_at: '1970-01-01T00:00:04Z' }, { id: 'y' }] },
  way: null,
};

test('the newest stands first, and what lies outside the time or cannot be read is not there', () => {
  const entries = entriesOf(SOURCES, 1_000, 9_000);
  expect(entries.map(({ kind, atMs }) => [kind, atMs])).toEqual([['order', 4_000], ['event', 3_000], ['alert', 2_000]]);
  expect(entryAt(entries, 3_500)?.kind).toBe('event');
  expect(entryAt(entries, 1_500)).toBeNull();
});

test('every entry has a name of its own, also where a receiver told two fixes at one moment', () => {
  const moments = Float64Array.from([1_000, 1_000, 1_000, 200_000]);
  const way: Way = { n: 4, no: 7, leftOut: 0, tMs: moments, lonE6: new Int32Array(4), latE6: new Int32Array(4), marks: Uint8Array.of(0, 1, 1, 1), course: new Uint8Array(4), kmh: new Uint8Array(4) };
  const keys = entriesOf({ ...SOURCES, way }, 0, 999_999).map(({ key }) => key);
  expect(new Set(keys).size).toBe(keys.length);
});
