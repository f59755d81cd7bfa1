/**
 * Units as columns: the snapshot's bytes and the changes after it (CONSOLE section 7).
 * Law: typed arrays over what came; one order, rising unit numbers; no clock: ages become times of the server.
 */
import { Refused, isFields, isList, numberOf } from './decode';

export const NEVER_S = 0; // `atS` of a unit that never had a fix
export const UNITS_MAX = 100_000;
const MAGIC = 0x31554c50; // 'PLU1', little-endian
const HEADER_BYTES = 32;
const ROW_BYTES = 18;
const AGE_NEVER = 65_535;
const FIELDS = 8;

export const Flag = {
  SEALED: 1,
  MOVING: 2,
  JOURNEY: 4,
  SILENT: 8,
  DOUBTFUL: 16,
  GAP: 32,
  OUT: 64,
  GONE: 128,
} as const;

/** Bits 3-4 of `state`. */
export const Stage = { NONE: 0, ACKED: 1, UNACKED: 2, SHELVED: 3 } as const;

export interface Units {
  readonly n: number;
  readonly feed: number;
  readonly timeS: number;
  readonly scope: string;
  readonly no: Uint32Array;
  readonly lonE6: Int32Array;
  readonly latE6: Int32Array;
  /** Server time of the fix in seconds; 0: never. */
  readonly atS: Uint32Array;
  readonly state: Uint8Array;
  readonly flags: Uint8Array;
  /** Course in degrees / 2; 255: none. */
  readonly course: Uint8Array;
  readonly kmh: Uint8Array;
}

/** What changed since the last frame: rows of eight integers in column order. */
export interface Change {
  readonly feed: number;
  readonly timeS: number;
  readonly rows: readonly number[];
}

export const NO_UNITS: Units = {
  n: 0,
  feed: 0,
  timeS: 0,
  scope: '',
  no: new Uint32Array(0),
  lonE6: new Int32Array(0),
  latE6: new Int32Array(0),
  atS: new Uint32Array(0),
  state: new Uint8Array(0),
  flags: new Uint8Array(0),
  course: new Uint8Array(0),
  kmh: new Uint8Array(0),
};

export function worst(state: number): number {
  return state & 7;
}

export function stage(state: number): number {
  return (state >> 3) & 3;
}

export function readSnapshot(buffer: ArrayBuffer): Units | Refused {
  if (buffer.byteLength < HEADER_BYTES) return new Refused('short');
  const view = new DataView(buffer);
  if (view.getUint32(0, true) !== MAGIC) return new Refused('no_snapshot');
  if (view.getUint16(4, true) !== 1) return new Refused('version');
  const begin = view.getUint16(6, true);
  const n = view.getUint32(8, true);
  if (n > UNITS_MAX) return new Refused('too_many');
  if (begin < HEADER_BYTES || begin % 4 !== 0) return new Refused('header');
  if (buffer.byteLength !== begin + n * ROW_BYTES) return new Refused('length');
  const timeS = view.getUint32(12, true);
  let at = begin;
  const after = (bytes: number): number => {
    const here = at;
    at += n * bytes;
    return here;
  };
  const no = new Uint32Array(buffer, after(4), n);
  const lonE6 = new Int32Array(buffer, after(4), n);
  const latE6 = new Int32Array(buffer, after(4), n);
  const ages = new Uint16Array(buffer, after(2), n);
  const state = new Uint8Array(buffer, after(1), n);
  const flags = new Uint8Array(buffer, after(1), n);
  const course = new Uint8Array(buffer, after(1), n);
  const kmh = new Uint8Array(buffer, after(1), n);
  for (let i = 1; i < n; i += 1) if (no[i]! <= no[i - 1]!) return new Refused('order');
  return {
    n,
    feed: Number(view.getBigUint64(16, true)),
    timeS,
    scope: view.getBigUint64(24, true).toString(16),
    no,
    lonE6,
    latE6,
    atS: Uint32Array.from(ages, (age) => timeOf(timeS, age)),
    state,
    flags,
    course,
    kmh,
  };
}

export function readChange(data: unknown): Change | Refused {
  if (!isFields(data)) return new Refused('no_object');
  const feed = numberOf(data['f']);
  const timeS = numberOf(data['t']);
  const rows = data['u'];
  if (feed === null || timeS === null || !isList(rows)) return new Refused('no_change');
  if (rows.length % FIELDS !== 0) return new Refused('length');
  if (!rows.every((value) => Number.isInteger(value))) return new Refused('no_integer');
  return { feed, timeS, rows: rows as readonly number[] };
}

/** The columns after a change. Known units are written in place; new ones and those that are gone make new arrays. */
export function changed(units: Units, change: Change): Units {
  if (change.feed < units.feed) return units; // older than the snapshot
  const added: number[] = [];
  let gone = false;
  let no = 0;
  for (let at = 0; at < change.rows.length; at += FIELDS) {
    no += change.rows[at]!;
    const row = find(units, no);
    if (row < 0) added.push(no, at);
    else write(units, row, change, at);
    gone ||= (change.rows[at + 5]! & Flag.GONE) !== 0;
  }
  const next = { ...units, feed: change.feed, timeS: Math.max(units.timeS, change.timeS) };
  return added.length === 0 && !gone ? next : merged(next, added, change);
}

/** The row of a unit, or -1. */
export function find(units: Units, no: number): number {
  let low = 0;
  let high = units.n - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const here = units.no[middle]!;
    if (here === no) return middle;
    if (here < no) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

function merged(units: Units, added: readonly number[], change: Change): Units {
  const most = units.n + added.length / 2;
  const to = {
    ...units,
    no: new Uint32Array(most),
    lonE6: new Int32Array(most),
    latE6: new Int32Array(most),
    atS: new Uint32Array(most),
    state: new Uint8Array(most),
    flags: new Uint8Array(most),
    course: new Uint8Array(most),
    kmh: new Uint8Array(most),
  };
  let n = 0;
  let from = 0;
  let next = 0;
  while (from < units.n || next < added.length) {
    const isNew = from >= units.n || (next < added.length && added[next]! < units.no[from]!);
    to.no[n] = isNew ? added[next]! : units.no[from]!;
    if (isNew) write(to, n, change, added[next + 1]!);
    else copy(to, n, units, from);
    if (isNew) next += 2;
    else from += 1;
    if ((to.flags[n]! & Flag.GONE) === 0) n += 1;
  }
  return {
    ...to,
    n,
    no: to.no.subarray(0, n),
    lonE6: to.lonE6.subarray(0, n),
    latE6: to.latE6.subarray(0, n),
    atS: to.atS.subarray(0, n),
    state: to.state.subarray(0, n),
    flags: to.flags.subarray(0, n),
    course: to.course.subarray(0, n),
    kmh: to.kmh.subarray(0, n),
  };
}

function write(to: Units, row: number, change: Change, at: number): void {
  const { rows, timeS } = change;
  to.lonE6[row] = rows[at + 1]!;
  to.latE6[row] = rows[at + 2]!;
  to.atS[row] = timeOf(timeS, rows[at + 3]!);
  to.state[row] = rows[at + 4]!;
  to.flags[row] = rows[at + 5]!;
  to.course[row] = rows[at + 6]!;
  to.kmh[row] = rows[at + 7]!;
}

function copy(to: Units, row: number, from: Units, old: number): void {
  to.lonE6[row] = from.lonE6[old]!;
  to.latE6[row] = from.latE6[old]!;
  to.atS[row] = from.atS[old]!;
  to.state[row] = from.state[old]!;
  to.flags[row] = from.flags[old]!;
  to.course[row] = from.course[old]!;
  to.kmh[row] = from.kmh[old]!;
}

function timeOf(timeS: number, age: number): number {
  return age === AGE_NEVER ? NEVER_S : timeS - age;
}
