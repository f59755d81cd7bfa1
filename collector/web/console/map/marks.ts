/**
 * Abnormal and selected units as shapes with plates: 500 at most, the worst first (CONSOLE section 8).
 * Law: a mark never stands instead of a dot; what is over the bound is said, not hidden.
 */
import { isResting, isUnseen } from '../lib/alerts';
import type { Alert } from '../lib/alerts';
import { find } from '../lib/columns';
import type { Units } from '../lib/columns';
import type { Palette } from './colours';

export const MARKS_MAX = 500;
export const SIDE = 26;

export interface Mark {
  readonly no: number;
  readonly lon: number;
  readonly lat: number;
  readonly plate: string;
  readonly icon: string;
  readonly isUnseen: boolean;
}

const MARK_KEYS = ['no', 'lon', 'lat', 'plate', 'icon', 'isUnseen'] as const;

/** The worst open alert of each unit, the gravest first. */
export function worstOf(alerts: Iterable<Alert>): readonly Alert[] {
  const worst = new Map<number, Alert>();
  for (const alert of alerts) {
    if (alert.state === 'CLOSED' || isResting(alert)) continue;
    const known = worst.get(alert.no);
    if (known === undefined || rank(alert) < rank(known)) worst.set(alert.no, alert);
  }
  return [...worst.values()].sort((a, b) => rank(a) - rank(b) || a.sinceMs - b.sinceMs);
}

/** Their marks, where the units are now, as many as are drawn; and how many there are in all. */
export function marksOf(worst: readonly Alert[], units: Units): { readonly marks: readonly Mark[]; readonly of: number } {
  const marks: Mark[] = [];
  let of = 0;
  for (const alert of worst) {
    if (marks.length < MARKS_MAX) {
      const mark = markOf(alert, units);
      if (mark !== null) marks.push(mark);
      of += Number(mark !== null);
    } else of += Number((alert.lon !== null && alert.lat !== null) || isPlaced(units, find(units, alert.no)));
  }
  return { marks, of };
}

/** Whether these marks look as those do. */
export function areSame(some: readonly Mark[], others: readonly Mark[]): boolean {
  return some.length === others.length && some.every((one, i) => MARK_KEYS.every((key) => one[key] === others[i]![key]));
}

/** Where its unit is now, else where it happened; null if neither is known: no place is drawn where no fix was. */
function markOf(alert: Alert, units: Units): Mark | null {
  const row = find(units, alert.no);
  const isNow = isPlaced(units, row);
  const lon = isNow ? units.lonE6[row]! / 1e6 : alert.lon;
  const lat = isNow ? units.latE6[row]! / 1e6 : alert.lat;
  if (lon === null || lat === null) return null;
  return { no: alert.no, lon, lat, plate: alert.plate, icon: iconOf(alert), isUnseen: isUnseen(alert) };
}

function isPlaced(units: Units, row: number): boolean {
  return row >= 0 && units.atS[row] !== 0;
}

function rank(alert: Alert): number {
  return (isUnseen(alert) ? 0 : 10) + alert.prio;
}

function iconOf(alert: Alert): string {
  return `p${alert.prio}-${alert.state === 'CLEARED_UNACKED' ? 'outline' : 'full'}`;
}

/** Names of the shapes, in the order in which they stand on the sheet. */
export const ICONS: readonly string[] = [1, 2, 3, 4].flatMap((prio) => [`p${prio}-full`, `p${prio}-outline`]);

/** The four shapes, full and in outline, side by side in the palette's colours. */
export function sheetOf(palette: Palette, ratio: number): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = SIDE * ratio * ICONS.length;
  canvas.height = SIDE * ratio;
  const to = canvas.getContext('2d');
  if (to === null) return canvas;
  to.scale(ratio, ratio);
  for (const prio of [1, 2, 3, 4] as const) {
    for (const isFull of [true, false]) {
      draw(to, prio, isFull, palette);
      to.translate(SIDE, 0);
    }
  }
  return canvas;
}

function draw(to: CanvasRenderingContext2D, prio: 1 | 2 | 3 | 4, isFull: boolean, palette: Palette): void {
  const colour = palette[`p${prio}`];
  const path = new Path2D(SHAPES[prio]);
  to.lineWidth = prio === 4 ? 3 : 2;
  to.strokeStyle = isFull && prio !== 4 ? palette.on : colour;
  to.fillStyle = isFull && prio !== 4 ? colour : palette.panel;
  to.fill(path);
  to.stroke(path);
  to.fillStyle = isFull && prio !== 4 ? palette.on : colour;
  to.font = 'bold 12px "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';
  to.textAlign = 'center';
  to.textBaseline = 'middle';
  to.fillText(String(prio), SIDE / 2, prio === 2 ? 16 : 13.5);
}

/** In a square of 26: diamond, triangle, square, ring. */
const SHAPES: Readonly<Record<1 | 2 | 3 | 4, string>> = {
  1: 'M13 1 25 13 13 25 1 13z',
  2: 'M13 2 25 24 1 24z',
  3: 'M3 3H23V23H3z',
  4: 'M13 3a10 10 0 1 0 .01 0z',
};
