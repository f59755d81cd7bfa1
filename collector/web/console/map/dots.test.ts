import { describe, expect, it } from 'vitest';
import { changed, NO_UNITS } from '../lib/columns';
import type { Units } from '../lib/columns';
import { Dots, ROW_BYTES } from './dots';
import { mercator } from './mercator';

const CENTRE = mercator(64, 41);
const NOW_S = 1_000;

function fleet(n: number): Units {
  const all = <T>(make: (i: number) => T) => Array.from({ length: n }, (_, i) => make(i));
  return {
    ...NO_UNITS,
    n,
    no: Uint32Array.from(all((i) => i + 1)),
    lonE6: Int32Array.from(all((i) => 60_000_000 + i * 1_000)),
    latE6: Int32Array.from(all((i) => 40_000_000 + i * 500)),
    atS: Uint32Array.from(all(() => NOW_S)),
    state: new Uint8Array(n),
    flags: new Uint8Array(n),
    course: new Uint8Array(n),
    kmh: new Uint8Array(n),
  };
}

/** What the graphics have after all that was handed on, as rows of x, y, colour, hollow, size. */
class Graphics {
  private held = new Uint8Array(0);
  constructor(private readonly dots: Dots) {}

  take(units: Units, nowS = NOW_S, selected: number | null = null): number {
    const runs = this.dots.show(units, nowS, selected);
    const room = this.dots.room * ROW_BYTES;
    if (this.held.length !== room) this.held = new Uint8Array(room);
    for (const run of runs) this.held.set(this.dots.rows(run), run.from * ROW_BYTES);
    return runs.reduce((sum, { from, to }) => sum + to - from, 0);
  }

  rows(): number[][] {
    const [at, look] = [new Float32Array(this.held.buffer), this.held];
    return Array.from({ length: this.dots.count }, (_, i) => [at[i * 3]!, at[i * 3 + 1]!, look[i * ROW_BYTES + 8]!, look[i * ROW_BYTES + 9]!, look[i * ROW_BYTES + 10]!]);
  }
}

function anew(units: Units, nowS = NOW_S, selected: number | null = null): number[][] {
  const graphics = new Graphics(new Dots(CENTRE));
  graphics.take(units, nowS, selected);
  return graphics.rows();
}

describe('the dots', () => {
  it('stand where the units are, and one without a fix nowhere', () => {
    const units = fleet(2);
    units.atS[1] = 0;
    const [first, second] = anew(units);
    const at = mercator(60, 40);
    expect(first![0]).toBeCloseTo(at.x - CENTRE.x, 7);
    expect(first![1]).toBeCloseTo(at.y - CENTRE.y, 7);
    expect(first!.slice(2)).toEqual([0, 0, 8]);
    expect(second!.slice(0, 2)).toEqual([9, 9]);
  });

  it('hands on only what is another than it was', () => {
    const graphics = new Graphics(new Dots(CENTRE));
    let units = fleet(10_000);
    expect(graphics.take(units)).toBe(10_000);
    expect(graphics.take(units)).toBe(0);
    units = changed(units, { feed: 1, timeS: NOW_S, rows: [5_000, 61_000_000, 41_000_000, 0, 0, 0, 255, 50] });
    expect(graphics.take(units)).toBe(1);
    expect(graphics.take(units, NOW_S, 7)).toBe(1); // chosen
    expect(graphics.take(units, NOW_S, 9_000)).toBe(2); // another one
    expect(graphics.rows()).toEqual(anew(units, NOW_S, 9_000));
  });

  it('takes what lies near one another in one', () => {
    const [dots, units] = [new Dots(CENTRE), fleet(10_000)];
    dots.show(units, NOW_S, null);
    for (const row of [10, 20, 200, 9_000]) units.lonE6[row] = 1;
    expect(dots.show(units, NOW_S, null)).toEqual([{ from: 10, to: 201 }, { from: 9_000, to: 9_001 }]);
  });

  it('shows at every moment what would be shown if all were placed anew', () => {
    let seed = 4711;
    const chance = (most: number): number => (seed = (seed * 48_271) % 2_147_483_647) % most;
    const graphics = new Graphics(new Dots(CENTRE));
    let units = fleet(40);
    for (let step = 1; step <= 200; step += 1) {
      const rows: number[] = [];
      let last = 0;
      for (let no = 1 + chance(5); no < 80; no += 1 + chance(20)) {
        rows.push(no - last, 60_000_000 + chance(1_000_000), 40_000_000 + chance(1_000_000), chance(9) === 0 ? 65_535 : chance(200), chance(32), chance(12) === 0 ? 128 : 0, 255, 50);
        last = no;
      }
      units = changed(units, { feed: step, timeS: NOW_S + step, rows });
      const selected = chance(3) === 0 ? null : chance(80);
      graphics.take(units, NOW_S + step * 3, selected);
      expect(graphics.rows()).toEqual(anew(units, NOW_S + step * 3, selected));
    }
  });
});
