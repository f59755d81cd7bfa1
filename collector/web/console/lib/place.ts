/** `12 km N of Jizzax`: a position as people say it. Law: the nearest place of `places.json`, by distance on the sphere. */
import { isFields, numberOf } from './decode';
import type { Language, Words } from './words';

export interface Town {
  readonly id: number;
  readonly lon: number;
  readonly lat: number;
  readonly people: number;
  readonly names: Readonly<Record<Language, string>>;
}

export interface Place {
  readonly km: number;
  readonly dir: Direction;
  readonly of: number;
}

export const DIRECTIONS = ['N', 'NE', 'E', 'SE', 'S', 'SW', 'W', 'NW'] as const;
export type Direction = (typeof DIRECTIONS)[number];

const NEAR_KM = 2; // nobody says "800 m NE of Tashkent"
const FAR_KM = 300;
const KM_A_DEGREE = 111.195;

/** The nearest of `towns`; null if there is none within 300 km. */
export function placeOf(towns: readonly Town[], lon: number, lat: number): Place | null {
  const narrow = Math.cos((lat * Math.PI) / 180);
  let best: Town | null = null;
  let least = FAR_KM;
  for (const town of towns) {
    const east = (lon - town.lon) * narrow * KM_A_DEGREE;
    const north = (lat - town.lat) * KM_A_DEGREE;
    const km = Math.hypot(east, north);
    if (km < least) [best, least] = [town, km];
  }
  if (best === null) return null;
  return { km: Math.round(least), dir: directionOf((lon - best.lon) * narrow, lat - best.lat), of: best.id };
}

export function readPlace(value: unknown): Place | null {
  if (!isFields(value)) return null;
  const km = numberOf(value['km']);
  const of = numberOf(value['of']);
  const dir = DIRECTIONS.find((one) => one === value['dir']);
  return km === null || of === null || dir === undefined ? null : { km, of, dir };
}

/** The place in words; empty if its town is not on our list. */
export function placeWords(words: Words, towns: readonly Town[], place: Place | null): string {
  const town = place === null ? undefined : towns.find((one) => one.id === place.of);
  if (place === null || town === undefined) return '';
  const name = town.names[words.language];
  if (place.km < NEAR_KM) return words.text('place.near', { name });
  return words.text('place.from', {
    name,
    km: words.text('unit.km', { n: words.number(place.km) }),
    dir: words.text(`dir.${place.dir}`),
  });
}

function directionOf(east: number, north: number): Direction {
  const turns = Math.atan2(east, north) / (2 * Math.PI);
  return DIRECTIONS[(Math.round(turns * 8) + 8) % 8]!;
}
