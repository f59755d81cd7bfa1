import { expect, test } from 'vitest';
import { readAlert } from '../lib/alerts';
import type { Alert } from '../lib/alerts';
import { NO_UNITS } from '../lib/columns';
import type { Town } from '../lib/place';
import { isNight, tilesOf } from './regions';

const town = (id: number, lon: number, people: number): Town => ({ id, lon, lat: 40, people, names: { en: `t${id}`, ru: '', uz: '' } });
const TOWNS = [town(1, 60, 500_000), town(2, 64, 300_000), town(3, 61, 20_000)];
const units = (...rows: [lon: number, atS: number][]) => ({
  ...NO_UNITS,
  n: rows.length,
  no: Uint32Array.from(rows, (_row, i) => i + 1),
  lonE6: Int32Array.from(rows, ([lon]) => lon * 1e6),
  latE6: Int32Array.from(rows, () => 40e6),
  atS: Uint32Array.from(rows, ([, atS]) => atS),
});
const alert = (no: number, more: object) => readAlert({ id: String(no), rev: 1, no, code: 'X', prio: 2, stage: 'UNACKED', since: 1, ...more }) as Alert;
const isOld = (atS: number) => atS === 0;

test('a unit belongs to the nearest great town, and one whose place is old to none', () => {
  const tiles = tilesOf(units([61, 1], [60.1, 1], [64, 1], [60, 0]), [], TOWNS, isOld);
  expect(tiles.map(({ town: { id }, units: n }) => [id, n])).toEqual([[1, 2], [2, 1]]);
});

test('where somebody must act stands first; what rests or is closed does not count', () => {
  const rows = [alert(3, { prio: 1 }), alert(9, { lon: 64, lat: 40, stage: 'ACKED' }), alert(1, { stage: 'SHELVED' })];
  const tiles = tilesOf(units([60, 1], [60, 1], [64, 1]), rows, TOWNS, isOld);
  expect(tiles).toMatchObject([{ town: { id: 2 }, worst: 1, open: 2, unseen: 1 }, { town: { id: 1 }, worst: 0, units: 2 }]);
});

test('a wall is dim at night', () => expect([21, 22, 0, 5, 6].map(isNight)).toEqual([false, true, true, true, false]));
