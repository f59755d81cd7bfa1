import { describe, expect, it } from 'vitest';
import { Flag, NEVER_S, NO_UNITS, changed, find, readChange, readSnapshot, stage, worst } from './columns';
import type { Units } from './columns';
import { Refused } from './decode';

type Row = [no: number, lon: number, lat: number, age: number, state: number, flags: number, course: number, kmh: number];

/** A snapshot by a second hand: field by field through a DataView. */
function snapshot(rows: readonly Row[], { time = 1_000_000, feed = 7n } = {}): ArrayBuffer {
  const buffer = new ArrayBuffer(32 + rows.length * 18);
  const view = new DataView(buffer);
  [...'PLU1'].forEach((letter, i) => view.setUint8(i, letter.charCodeAt(0)));
  view.setUint16(4, 1, true);
  view.setUint16(6, 32, true);
  view.setUint32(8, rows.length, true);
  view.setUint32(12, time, true);
  view.setBigUint64(16, feed, true);
  view.setBigUint64(24, 0xabcn, true);
  const n = rows.length;
  rows.forEach((row, i) => {
    view.setUint32(32 + 4 * i, row[0], true);
    view.setInt32(32 + 4 * n + 4 * i, row[1], true);
    view.setInt32(32 + 8 * n + 4 * i, row[2], true);
    view.setUint16(32 + 12 * n + 2 * i, row[3], true);
    row.slice(4).forEach((value, k) => view.setUint8(32 + 14 * n + k * n + i, value));
  });
  return buffer;
}

function units(rows: readonly Row[]): Units {
  const read = readSnapshot(snapshot(rows));
  if (read instanceof Refused) throw new Error(read.reason);
  return read;
}

const TWO: Row[] = [
  [3, 69_240_000, 41_300_000, 12, 0b10_001, Flag.SEALED | Flag.MOVING, 45, 80],
  [9, 66_900_000, 39_650_000, 65_535, 0, 0, 255, 0],
];

describe('a snapshot', () => {
  it('is read column by column', () => {
    const read = units(TWO);
    expect([read.n, read.feed, read.scope]).toEqual([2, 7, 'abc']);
    expect([...read.no]).toEqual([3, 9]);
    expect(read.atS[0]).toBe(999_988);
    expect(read.atS[1]).toBe(NEVER_S);
    expect([worst(read.state[0]!), stage(read.state[0]!)]).toEqual([1, 2]);
    expect([...read.kmh]).toEqual([80, 0]);
  });

  it('without units is one', () => {
    expect(units([]).n).toBe(0);
  });

  it.each([
    ['short', new ArrayBuffer(31)],
    ['no_snapshot', new ArrayBuffer(32)],
    ['length', snapshot(TWO).slice(0, -1)],
    ['order', snapshot([TWO[1]!, TWO[0]!])],
  ])('is refused by name: %s', (reason, buffer) => {
    expect(readSnapshot(buffer)).toEqual(new Refused(reason));
  });
});

describe('a change', () => {
  const change = (rows: number[], feed = 8) => {
    const read = readChange({ f: feed, t: 1_000_010, u: rows });
    if (read instanceof Refused) throw new Error(read.reason);
    return read;
  };

  it('writes known units in place and adds new ones where they belong', () => {
    const before = units(TWO);
    const after = changed(before, change([3, 1, 2, 0, 0, 0, 10, 20, 2, 5, 6, 1, 0, 0, 11, 30, 4, 7, 8, 2, 0, 0, 12, 40]));
    expect([...after.no]).toEqual([3, 5, 9]);
    expect([...after.kmh]).toEqual([20, 30, 40]);
    expect([...after.atS]).toEqual([1_000_010, 1_000_009, 1_000_008]);
    expect(after.feed).toBe(8);
  });

  it('takes away who is gone', () => {
    const after = changed(units(TWO), change([3, 0, 0, 0, 0, Flag.GONE, 0, 0]));
    expect([...after.no]).toEqual([9]);
    expect([...after.latE6]).toEqual([39_650_000]);
  });

  it('that is older than the snapshot changes nothing', () => {
    const before = units(TWO);
    expect(changed(before, change([3, 0, 0, 0, 0, 0, 0, 0], 6))).toBe(before);
  });

  it('builds the same as a snapshot, whatever the order of coming', () => {
    let built = NO_UNITS;
    for (const row of [TWO[1]!, TWO[0]!]) built = changed(built, change([...row.slice(0, 3), 22, ...row.slice(4)]));
    expect([...built.no]).toEqual([3, 9]);
    expect(find(built, 9)).toBe(1);
    expect(find(built, 4)).toBe(-1);
  });

  it.each([[{}], [null], [{ f: 1, t: 1, u: [1, 2] }], [{ f: 1, t: 1, u: [1, 2, 3, 4, 5, 6, 7, 'x'] }]])(
    'is refused by name: %j',
    (data) => expect(readChange(data)).toBeInstanceOf(Refused),
  );
});
