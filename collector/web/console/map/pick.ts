/** Which units lie under a click. Law: by distance on the screen, so that parked trucks can be told apart; nothing is clustered. */
import type { Units } from '../lib/columns';

export const REACH_PX = 12;
export const PICKED_MAX = 200; // as many plates as one question may ask

export interface Box {
  readonly west: number;
  readonly south: number;
  readonly east: number;
  readonly north: number;
}

/** Unit numbers within `REACH_PX` of a point, the nearest first. `project` is the map's. */
export function picked(
  units: Units,
  box: Box,
  at: { readonly x: number; readonly y: number },
  project: (lon: number, lat: number) => { readonly x: number; readonly y: number },
): readonly number[] {
  const found: { no: number; far: number }[] = [];
  for (let i = 0; i < units.n; i += 1) {
    if (units.atS[i] === 0) continue;
    const lon = units.lonE6[i]! / 1e6;
    const lat = units.latE6[i]! / 1e6;
    if (lon < box.west || lon > box.east || lat < box.south || lat > box.north) continue;
    const { x, y } = project(lon, lat);
    const far = Math.hypot(x - at.x, y - at.y);
    if (far <= REACH_PX) found.push({ no: units.no[i]!, far });
  }
  return found
    .sort((a, b) => a.far - b.far || a.no - b.no)
    .slice(0, PICKED_MAX)
    .map(({ no }) => no);
}
