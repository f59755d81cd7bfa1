/**
 * A zone or route as it is edited, to GeoJSON and back (DETECTION section 5).
 * Law: properties that the editor does not know stay as they came; nothing is straightened, closed or turned on the way in.
 */
import { Refused, isFields, isList, numberOf, textOf } from '../lib/decode';
import type { Fields } from '../lib/decode';
import type { Position } from '../lib/ground';

export const ZONE_KINDS = ['area', 'forbidden', 'border_post', 'inland_post', 'plant', 'stop', 'territory', 'tunnel', 'transfer'] as const;
/** Numbers of a zone and of a route: name, least, most, and what holds where nothing is said. */
export const ZONE_NUMBERS = [
  ['dwell_s', 1, 31_536_000, null],
  ['stop_s_max', 1, 31_536_000, 36_000],
  ['speed_kmh', 1, 300, null],
] as const;
export const ROUTE_NUMBERS = [
  ['half_width_m', 10, 5_000, 150],
  ['alert_m', 10, 100_000, 500],
  ['legal_m', 100, 1_000_000, 50_000],
  ['plan_kmh', 1, 200, 60],
] as const;
export const RADIUS_M = { least: 10, most: 200_000, first: 500 } as const;

/** Rings are open here: the place they began with is not repeated at their end. */
export type Drawn =
  | { readonly kind: 'polygon'; readonly polygons: readonly (readonly (readonly Position[])[])[] }
  | { readonly kind: 'circle'; readonly centre: Position | null }
  | { readonly kind: 'line'; readonly points: readonly Position[] };

export interface Shape {
  readonly id: string;
  readonly drawn: Drawn;
  readonly properties: Fields;
}

const E7 = 1e7;

export function emptyShape(id: string, kind: Drawn['kind']): Shape {
  switch (kind) {
    case 'polygon':
      return { id, drawn: { kind, polygons: [[[]]] }, properties: { kind: 'area' } };
    case 'circle':
      return { id, drawn: { kind, centre: null }, properties: { kind: 'area', radius_m: RADIUS_M.first } };
    case 'line':
      return { id, drawn: { kind, points: [] }, properties: { half_width_m: 150 } };
  }
}

/** A feature as it came, or why it is none that can be edited. */
export function readShape(value: unknown): Shape | Refused {
  if (!isFields(value) || !isFields(value['geometry'])) return new Refused('not_geojson');
  const properties = isFields(value['properties']) ? value['properties'] : {};
  const { id: own, ...rest } = properties;
  const id = textOf(own) ?? textOf(value['id']) ?? '';
  const { type, coordinates } = value['geometry'];
  const drawn = readDrawn(type, coordinates);
  return drawn instanceof Refused ? drawn : { id, drawn, properties: rest };
}

export function readDrawn(type: unknown, coordinates: unknown): Drawn | Refused {
  switch (type) {
    case 'Point': {
      const centre = positionOf(coordinates);
      return centre === null ? new Refused('not_geojson') : { kind: 'circle', centre };
    }
    case 'LineString': {
      const points = positionsOf(coordinates);
      return points === null ? new Refused('not_geojson') : { kind: 'line', points };
    }
    case 'Polygon': {
      const rings = ringsOf(coordinates);
      return rings instanceof Refused ? rings : { kind: 'polygon', polygons: [rings] };
    }
    case 'MultiPolygon': {
      if (!isList(coordinates) || coordinates.length === 0) return new Refused('not_geojson');
      const polygons: Position[][][] = [];
      for (const one of coordinates) {
        const rings = ringsOf(one);
        if (rings instanceof Refused) return rings;
        polygons.push(rings);
      }
      return { kind: 'polygon', polygons };
    }
    default:
      return new Refused('wrong_type');
  }
}

export function featureOf({ id, drawn, properties }: Shape): GeoJSON.Feature {
  const told = { id, ...properties };
  return { type: 'Feature', properties: told, geometry: geometryOf(drawn) };
}

export function geometryOf(drawn: Drawn): GeoJSON.Geometry {
  switch (drawn.kind) {
    case 'circle':
      return { type: 'Point', coordinates: drawn.centre === null ? [] : [...drawn.centre] };
    case 'line':
      return { type: 'LineString', coordinates: drawn.points.map(copied) };
    case 'polygon': {
      const polygons = drawn.polygons.map((rings) => rings.map(closed));
      return polygons.length === 1 ? { type: 'Polygon', coordinates: polygons[0]! } : { type: 'MultiPolygon', coordinates: polygons };
    }
  }
}

/** Rings one after another: outline, its holes, the next outline. A line and a circle have one list. */
export function listsOf(drawn: Drawn): readonly (readonly Position[])[] {
  if (drawn.kind === 'polygon') return drawn.polygons.flat();
  if (drawn.kind === 'line') return [drawn.points];
  return [drawn.centre === null ? [] : [drawn.centre]];
}

/** What a list is: the how-many-eth outline, and the how-many-eth hole of it; 0: the outline itself. */
export function partOf(drawn: Drawn, list: number): { readonly outline: number; readonly hole: number } {
  let left = list;
  const polygons = drawn.kind === 'polygon' ? drawn.polygons : [];
  for (const [n, rings] of polygons.entries()) {
    if (left < rings.length) return { outline: n + 1, hole: left };
    left -= rings.length;
  }
  return { outline: 1, hole: 0 };
}

export function withList(drawn: Drawn, list: number, points: readonly Position[]): Drawn {
  if (drawn.kind === 'line') return { ...drawn, points };
  if (drawn.kind === 'circle') return { ...drawn, centre: points.at(-1) ?? null };
  let at = -1;
  return { ...drawn, polygons: drawn.polygons.map((rings) => rings.map((ring) => ((at += 1) === list ? points : ring))) };
}

/** Whether there is enough of it to be asked about. */
export function isWhole({ drawn }: Shape): boolean {
  if (drawn.kind === 'circle') return drawn.centre !== null;
  if (drawn.kind === 'line') return drawn.points.length >= 2;
  return drawn.polygons.every((rings) => rings.every((ring) => ring.length >= 3));
}

export function isRoute({ drawn }: Shape): boolean {
  return drawn.kind === 'line';
}

export function positionsIn(drawn: Drawn): readonly Position[] {
  return listsOf(drawn).flat();
}

/** A number with the property's name, or null. */
export function numberIn({ properties }: Shape, name: string): number | null {
  return numberOf(properties[name]);
}

/** A property changed; null takes it away, and what is built in holds. */
export function withProperty(shape: Shape, name: string, value: unknown): Shape {
  const { [name]: _, ...rest } = shape.properties;
  return { ...shape, properties: value === null || value === '' ? rest : { ...rest, [name]: value } };
}

/** As the detectors keep it: ten-millionths of a degree. */
export function rounded(degrees: number): number {
  return Math.round(degrees * E7) / E7;
}

/** Degrees out of a field of a form, comma or point; null if it is none. */
export function degreesOf(text: string): number | null {
  const bare = text.trim().replace(',', '.').replace('−', '-');
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(bare)) return null;
  return rounded(Number(bare));
}

function ringsOf(value: unknown): Position[][] | Refused {
  if (!isList(value) || value.length === 0) return new Refused('not_geojson');
  const rings: Position[][] = [];
  for (const one of value) {
    const ring = positionsOf(one);
    if (ring === null) return new Refused('not_geojson');
    const [first, last] = [ring[0], ring.at(-1)];
    if (first === undefined || last === undefined || ring.length < 4) return new Refused('too_few_points');
    if (first[0] !== last[0] || first[1] !== last[1]) return new Refused('not_closed'); // it is not for us to guess where it ends
    rings.push(ring.slice(0, -1));
  }
  return rings;
}

function positionsOf(value: unknown): Position[] | null {
  if (!isList(value)) return null;
  const found = value.map(positionOf);
  return found.every((one) => one !== null) ? found : null;
}

function positionOf(value: unknown): Position | null {
  if (!isList(value)) return null;
  const [lon, lat] = [numberOf(value[0]), numberOf(value[1])];
  return lon === null || lat === null ? null : [lon, lat];
}

function closed(ring: readonly Position[]): [number, number][] {
  const points = ring.map(copied);
  return ring[0] === undefined ? points : [...points, copied(ring[0])];
}

function copied([lon, lat]: Position): [number, number] {
  return [lon, lat];
}
