/**
 * Abnormal and selected units as shapes with plates: 500 at most, the worst first (CONSOLE section 8).
 * Law: a mark never stands instead of a dot; what is over the bound is said, not hidden.
 */
import { isResting, isUnseen } from '../lib/alerts';
import type { Alert } from '../lib/alerts';
import { find } from '../lib/columns';
import type { Units } from '../lib/columns';
import type { Palette } from './colours';
import { mercator } from './mercator';

export const MARKS_MAX = 500;
export const SIDE = 26;
const WORLD_PX = 512;
const GRAIN_PX = 2;

export interface Mark {
  readonly no: number;
  readonly lon: number;
  readonly lat: number;
  readonly plate: string;
  readonly icon: string;
  readonly isUnseen: boolean;
}

/** The worst alert of each unit, where the unit is now; and how many there are in all. */
export function marksOf(alerts: Iterable<Alert>, units: Units): { readonly marks: readonly Mark[]; readonly of: number } {
  const worst = new Map<number, Alert>();
  for (const alert of alerts) {
    if (alert.state === 'CLOSED' || isResting(alert)) continue;
    const known = worst.get(alert.no);
    if (known === undefined || rank(alert) < rank(known)) worst.set(alert.no, alert);
  }
  const sorted = [...worst.values()].sort((a, b) => rank(a) - rank(b) || a.sinceMs - b.sinceMs);
  const placed = sorted.flatMap((alert) => markOf(alert, units) ?? []);
  return { marks: placed.slice(0, MARKS_MAX), of: placed.length };
}

/** Where its unit is now, else where it happened; null if neither is known: no place is drawn where no fix was. */
function markOf(alert: Alert, units: Units): Mark | null {
  const row = find(units, alert.no);
  const isPlaced = row >= 0 && units.atS[row] !== 0;
  const lon = isPlaced ? units.lonE6[row]! / 1e6 : alert.lon;
  const lat = isPlaced ? units.latE6[row]! / 1e6 : alert.lat;
  if (lon === null || lat === null) return null;
  return { no: alert.no, lon, lat, plate: alert.plate, icon: iconOf(alert), isUnseen: isUnseen(alert) };
}

function rank(alert: Alert): number {
  return (isUnseen(alert) ? 0 : 10) + alert.prio;
}

function iconOf(alert: Alert): string {
  return `p${alert.prio}-${alert.state === 'CLEARED_UNACKED' ? 'outline' : 'full'}`;
}

/** Plates as features, made when asked for, and a key by which two layings are the same to the eye: within `GRAIN_PX` at this zoom. */
export function labelsOf(marks: readonly Mark[], zoom: number): { readonly key: string; data(): GeoJSON.FeatureCollection } {
  const scale = (WORLD_PX * 2 ** zoom) / GRAIN_PX;
  const parts = marks.map(({ lon, lat, plate }) => {
    const { x, y } = mercator(lon, lat);
    return `${plate} ${Math.round(x * scale)} ${Math.round(y * scale)}`;
  });
  return {
    key: parts.join(';'),
    data: () => ({
      type: 'FeatureCollection',
      features: marks.map(({ lon, lat, plate }, order) => ({
        type: 'Feature',
        geometry: { type: 'Point', coordinates: [lon, lat] },
        properties: { plate, order },
      })),
    }),
  };
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
