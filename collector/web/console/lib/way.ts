/**
 * A unit's way as columns (CONSOLE section 7, track): decoded, cut into lines and gaps, asked for a moment.
 * Law: no place is made up: between two fixes with a gap there is a chord of dashes, and at a moment stands the last fix before it.
 */
import { Refused } from './decode';

export const MEDIA = 'application/vnd.plomba.track';
export const POINTS_MAX = 5_000;
const MAGIC = 0x31544c50; // 'PLT1', little-endian
const HEADER_BYTES = 32;
const ROW_BYTES = 15;
const TENTH_MS = 100;
const GAP_MS = 180_000; // as the server marks a gap

export const Mark = { GAP: 1, STOP: 2, DOUBTFUL: 4, RESTATED: 8, NO_SPEED: 16, NO_COURSE: 32 } as const;

export interface Way {
  readonly n: number;
  readonly no: number;
  readonly leftOut: number;
  readonly tMs: Float64Array;
  readonly lonE6: Int32Array;
  readonly latE6: Int32Array;
  readonly marks: Uint8Array;
  readonly course: Uint8Array;
  readonly kmh: Uint8Array;
}

export interface Gap {
  readonly beginMs: number;
  readonly endMs: number;
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
}

export function readWay(buffer: ArrayBuffer): Way | Refused {
  if (buffer.byteLength < HEADER_BYTES) return new Refused('short');
  const view = new DataView(buffer);
  if (view.getUint32(0, true) !== MAGIC) return new Refused('no_track');
  if (view.getUint16(4, true) !== 1) return new Refused('version');
  const begin = view.getUint16(6, true);
  const n = view.getUint32(8, true);
  if (n > POINTS_MAX) return new Refused('too_many');
  if (begin < HEADER_BYTES || begin % 4 !== 0) return new Refused('header');
  if (buffer.byteLength !== begin + n * ROW_BYTES) return new Refused('length');
  const t0Ms = Number(view.getBigUint64(16, true));
  const tenths = new Uint32Array(buffer, begin, n);
  for (let i = 1; i < n; i += 1) if (tenths[i]! < tenths[i - 1]!) return new Refused('order');
  return {
    n,
    no: view.getUint32(12, true),
    leftOut: view.getUint32(24, true),
    tMs: Float64Array.from(tenths, (one) => t0Ms + one * TENTH_MS),
    lonE6: new Int32Array(buffer, begin + n * 4, n),
    latE6: new Int32Array(buffer, begin + n * 8, n),
    marks: new Uint8Array(buffer, begin + n * 12, n),
    course: new Uint8Array(buffer, begin + n * 13, n),
    kmh: new Uint8Array(buffer, begin + n * 14, n),
  };
}

export function placeAt(way: Way, row: number): [number, number] {
  return [way.lonE6[row]! / 1e6, way.latE6[row]! / 1e6];
}

export function kmhAt(way: Way, row: number): number | null {
  return way.marks[row]! & Mark.NO_SPEED ? null : way.kmh[row]!;
}

/** Runs of fixes without a gap between them. */
export function lines(way: Way): [number, number][][] {
  const found: [number, number][][] = [];
  for (let i = 0; i < way.n; i += 1) {
    if (i === 0 || way.marks[i]! & Mark.GAP) found.push([]);
    found[found.length - 1]!.push(placeAt(way, i));
  }
  return found;
}

export function gaps(way: Way): Gap[] {
  const found: Gap[] = [];
  for (let i = 1; i < way.n; i += 1) {
    if ((way.marks[i]! & Mark.GAP) === 0) continue;
    found.push({ beginMs: way.tMs[i - 1]!, endMs: way.tMs[i]!, from: placeAt(way, i - 1), to: placeAt(way, i) });
  }
  return found;
}

/** The last fix at or before a moment, and whether a gap had begun then; null before the first. */
export function at(way: Way, ms: number): { row: number; isGap: boolean } | null {
  let low = 0;
  let high = way.n - 1;
  let row = -1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (way.tMs[middle]! <= ms) {
      row = middle;
      low = middle + 1;
    } else high = middle - 1;
  }
  if (row < 0) return null;
  const isLast = row === way.n - 1;
  const isGap = isLast ? ms - way.tMs[row]! > GAP_MS : way.tMs[row]! < ms && (way.marks[row + 1]! & Mark.GAP) !== 0;
  return { row, isGap };
}
