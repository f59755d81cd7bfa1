/**
 * The state of the region in tiles: each great town with the units and alerts that are nearest to it.
 * Law: pure; grey is normal, so what needs nobody stands last; a place that is old counts as no place.
 */
import { isActive, isUnseen } from '../lib/alerts';
import type { Alert } from '../lib/alerts';
import { find } from '../lib/columns';
import type { Units } from '../lib/columns';
import { placeOf } from '../lib/place';
import type { Town } from '../lib/place';

const PEOPLE_MIN = 130_000; // the capitals of Uzbekistan's regions, and the great towns of its neighbours
export const TILES_MAX = 12;

export interface Tile {
  readonly town: Town;
  readonly units: number;
  readonly unseen: number;
  readonly open: number;
  /** Worst priority of what is open; 0: none. */
  readonly worst: number;
}

export function tilesOf(units: Units, alerts: Iterable<Alert>, towns: readonly Town[], isOld: (atS: number) => boolean): readonly Tile[] {
  const great = towns.filter(({ people }) => people >= PEOPLE_MIN);
  const tiles = new Map(great.map((town) => [town.id, { town, units: 0, unseen: 0, open: 0, worst: 0 }]));
  const at = (lon: number, lat: number) => tiles.get(placeOf(great, lon, lat)?.of ?? -1);
  for (let i = 0; i < units.n; i += 1) {
    if (isOld(units.atS[i]!)) continue;
    const tile = at(units.lonE6[i]! / 1e6, units.latE6[i]! / 1e6);
    if (tile !== undefined) tile.units += 1;
  }
  for (const alert of alerts) {
    if (!isActive(alert)) continue;
    const row = find(units, alert.no);
    const isPlaced = row >= 0 && units.atS[row] !== 0;
    const lon = isPlaced ? units.lonE6[row]! / 1e6 : alert.lon;
    const lat = isPlaced ? units.latE6[row]! / 1e6 : alert.lat;
    const tile = lon === null || lat === null ? undefined : at(lon, lat);
    if (tile === undefined) continue;
    tile.open += 1;
    tile.unseen += Number(isUnseen(alert));
    tile.worst = tile.worst === 0 ? alert.prio : Math.min(tile.worst, alert.prio);
  }
  return [...tiles.values()]
    .filter(({ units: n, open }) => n + open > 0)
    .sort((a, b) => (a.worst || 9) - (b.worst || 9) || b.unseen - a.unseen || b.units - a.units)
    .slice(0, TILES_MAX);
}

/** Hours of the site's clock in which a wall is dimmed. */
export function isNight(hour: number): boolean {
  return hour >= 22 || hour < 6;
}
