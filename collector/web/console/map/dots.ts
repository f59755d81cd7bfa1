/**
 * All units as rows for the graphics, in the order of their columns: two floats and four bytes each.
 * Law: it is never told what changed, it looks; and only what is another than it was is reckoned and handed on anew.
 * Of 10,000 units 300 move in a second: to place all of them again took 4 ms of it, to look at them takes a tenth of one.
 */
import { Stage, stage, worst } from '../lib/columns';
import type { Units } from '../lib/columns';
import { isOld } from '../shell/stale';
import { mercator } from './mercator';
import type { Point } from './mercator';

export const ROW_BYTES = 12;
const WORDS = ROW_BYTES / 4;
const NOWHERE = 9; // far outside the world's square: a unit without a fix is not drawn
const SELECTED = 5;
const JOIN_ROWS = 256; // a call of the graphics costs as much as so many rows

/** Rows `from` up to, without, `to`. */
export interface Run {
  readonly from: number;
  readonly to: number;
}

export class Dots {
  count = 0;
  private bytes = new ArrayBuffer(0);
  private at = new Float32Array(0);
  private look = new Uint32Array(0);
  private lonE6 = new Int32Array(0);
  private latE6 = new Int32Array(0);

  constructor(private readonly centre: Point) {}

  /** How many rows there is room for. */
  get room(): number {
    return this.lonE6.length;
  }

  /** Look at all of them; the rows that are to be handed on. */
  show(units: Units, nowS: number, selected: number | null): Run[] {
    if (this.room < units.n) this.grow(units.n);
    const runs: Run[] = [];
    let [from, to] = [-1, -1];
    for (let i = 0; i < units.n; i += 1) {
      const atS = units.atS[i]!;
      const look = atS === 0 ? 0 : lookOf(units.state[i]!, isOld(nowS, atS), units.no[i] === selected);
      const isMoved = this.lonE6[i] !== units.lonE6[i] || this.latE6[i] !== units.latE6[i];
      if (i < this.count && !isMoved && this.look[i * WORDS + 2] === look) continue;
      this.write(i, units, look);
      if (from >= 0 && i - to <= JOIN_ROWS) {
        to = i + 1;
        continue;
      }
      if (from >= 0) runs.push({ from, to });
      [from, to] = [i, i + 1];
    }
    if (from >= 0) runs.push({ from, to });
    this.count = units.n;
    return runs;
  }

  rows({ from, to }: Run): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.bytes, from * ROW_BYTES, (to - from) * ROW_BYTES);
  }

  private write(row: number, units: Units, look: number): void {
    this.lonE6[row] = units.lonE6[row]!;
    this.latE6[row] = units.latE6[row]!;
    const { x, y } = mercator(units.lonE6[row]! / 1e6, units.latE6[row]! / 1e6);
    this.at[row * WORDS] = look === 0 ? NOWHERE : x - this.centre.x;
    this.at[row * WORDS + 1] = look === 0 ? NOWHERE : y - this.centre.y;
    this.look[row * WORDS + 2] = look;
  }

  private grow(most: number): void {
    const room = Math.ceil(most * 1.25);
    this.bytes = new ArrayBuffer(room * ROW_BYTES);
    this.at = new Float32Array(this.bytes);
    this.look = new Uint32Array(this.bytes);
    this.lonE6 = new Int32Array(room);
    this.latE6 = new Int32Array(room);
    this.count = 0;
  }
}

/** Colour, whether it is hollow, and how wide, a byte each; never 0. */
function lookOf(state: number, isHollow: boolean, isSelected: boolean): number {
  const isOpen = worst(state) > 0 && stage(state) !== Stage.SHELVED;
  const colour = isSelected ? SELECTED : isOpen ? Math.min(worst(state), 4) : 0;
  return colour | (Number(isHollow) << 8) | ((isOpen || isSelected ? 12 : 8) << 16);
}
