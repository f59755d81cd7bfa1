import { expect, test } from 'vitest';
import { Refused } from './decode';
import { Mark, at, gaps, kmhAt, lines, readWay } from './way';
import type { Way } from './way';

const T0 = 1_795_330_000_000;

function packed(rows: readonly (readonly [tenths: number, lon: number, lat: number, marks: number, kmh: number])[]): ArrayBuffer {
  const n = rows.length;
  const buffer = new ArrayBuffer(32 + 15 * n);
  const view = new DataView(buffer);
  view.setUint32(0, 0x31544c50, true);
  view.setUint16(4, 1, true);
  view.setUint16(6, 32, true);
  view.setUint32(8, n, true);
  view.setUint32(12, 7, true);
  view.setBigUint64(16, BigInt(T0), true);
  rows.forEach(([tenths, lon, lat, marks, kmh], i) => {
    view.setUint32(32 + 4 * i, tenths, true);
    view.setInt32(32 + 4 * n + 4 * i, lon, true);
    view.setInt32(32 + 8 * n + 4 * i, lat, true);
    view.setUint8(32 + 12 * n + i, marks);
    view.setUint8(32 + 14 * n + i, kmh);
  });
  return buffer;
}

const WAY = readWay(packed([[0, 69_000_000, 41_000_000, 0, 60], [10, 69_001_000, 41_000_000, Mark.NO_SPEED, 0], [6_000, 69_100_000, 41_000_000, Mark.GAP, 50]])) as Way;

test('columns become places and times, and what was not said is null', () => {
  expect([WAY.no, WAY.n, [...WAY.tMs]]).toEqual([7, 3, [T0, T0 + 1_000, T0 + 600_000]]);
  expect([0, 1, 2].map((row) => kmhAt(WAY, row))).toEqual([60, null, 50]);
});

test('a gap ends a line and is a chord with both its ends', () => {
  expect(lines(WAY)).toEqual([[[69, 41], [69.001, 41]], [[69.1, 41]]]);
  expect(gaps(WAY)).toEqual([{ beginMs: T0 + 1_000, endMs: T0 + 600_000, from: [69.001, 41], to: [69.1, 41] }]);
});

test('at a moment stands the last fix before it; inside a gap it says so', () => {
  expect(at(WAY, T0 - 1)).toBeNull();
  expect(at(WAY, T0 + 500)).toEqual({ row: 0, isGap: false });
  expect(at(WAY, T0 + 300_000)).toEqual({ row: 1, isGap: true });
  expect(at(WAY, T0 + 600_000)).toEqual({ row: 2, isGap: false });
  expect(at(WAY, T0 + 780_000)).toEqual({ row: 2, isGap: false });
  expect(at(WAY, T0 + 780_001)).toEqual({ row: 2, isGap: true });
});

test.each([
  ['short', new ArrayBuffer(8)],
  ['no_track', new ArrayBuffer(32)],
  ['length', packed([[0, 0, 0, 0, 0]]).slice(0, 40)],
  ['order', packed([[10, 0, 0, 0, 0], [0, 0, 0, 0, 0]])],
])('bad bytes are %s', (reason, buffer) => {
  const found = readWay(buffer);
  expect(found instanceof Refused && found.reason).toBe(reason);
});
