/**
 * GeoJSON or WKT as somebody pastes it. Law: what is no shape becomes a reason, never a guess; longitude comes first in both.
 * An EWKT may say `SRID=4326;` before; another system is refused, for nobody here turns metres into degrees.
 */
import { Refused, isFields, isList, parsed } from '../lib/decode';
import type { Position } from '../lib/ground';
import { readDrawn, readShape } from './shape';
import type { Shape } from './shape';

export const TEXT_MAX = 1 << 20; // as much as the server takes
const SHAPES_MAX = 1_000;

/** `free` says which id the next shape without one gets. */
export function pasted(text: string, free: () => string): readonly Shape[] | Refused {
  const bare = text.trim();
  if (bare === '') return new Refused('empty');
  if (bare.length > TEXT_MAX) return new Refused('too_large');
  return bare.startsWith('{') || bare.startsWith('[') ? ofJson(parsed(bare), free) : ofWkt(bare, free);
}

function ofJson(value: unknown, free: () => string): readonly Shape[] | Refused {
  if (!isFields(value)) return new Refused('not_geojson');
  if (value['type'] !== 'FeatureCollection') return all([value['type'] === 'Feature' ? value : { type: 'Feature', geometry: value }], free);
  return isList(value['features']) ? all(value['features'], free) : new Refused('not_geojson');
}

function all(features: readonly unknown[], free: () => string): readonly Shape[] | Refused {
  if (features.length === 0) return new Refused('empty');
  if (features.length > SHAPES_MAX) return new Refused('too_many');
  const shapes: Shape[] = [];
  for (const one of features) {
    const shape = readShape(one);
    if (shape instanceof Refused) return shape;
    shapes.push(named(shape, free));
  }
  return shapes;
}

function ofWkt(text: string, free: () => string): readonly Shape[] | Refused {
  const srid = /^SRID\s*=\s*(\d+)\s*;\s*/i.exec(text);
  if (srid !== null && srid[1] !== '4326') return new Refused('other_system');
  const head = /^(POINT|LINESTRING|POLYGON|MULTIPOLYGON)\s*(?:ZM|Z|M)?\s*(?=\()/i.exec(text.slice(srid?.[0].length ?? 0));
  if (head === null) return new Refused(/^[A-Z]+\s*(?:EMPTY|\()/i.test(text.slice(srid?.[0].length ?? 0)) ? 'wrong_type' : 'no_shape');
  const type = { POINT: 'Point', LINESTRING: 'LineString', POLYGON: 'Polygon', MULTIPOLYGON: 'MultiPolygon' }[head[1]!.toUpperCase()];
  const rest = text.slice((srid?.[0].length ?? 0) + head[0].length);
  const nested = new Nested(rest).read();
  if (nested === null) return new Refused('not_wkt');
  const drawn = readDrawn(type, type === 'Point' ? nested[0] : nested);
  if (drawn instanceof Refused) return drawn.reason === 'not_geojson' ? new Refused('not_wkt') : drawn;
  return [named({ id: '', drawn, properties: {} }, free)];
}

function named(shape: Shape, free: () => string): Shape {
  const isBare = Object.keys(shape.properties).length === 0 && shape.id === '';
  const properties = shape.drawn.kind === 'circle' && shape.properties['radius_m'] === undefined ? { ...shape.properties, radius_m: 500 } : shape.properties;
  return { ...shape, id: shape.id || free(), properties: isBare && shape.drawn.kind !== 'line' ? { kind: 'area', ...properties } : properties };
}

/** `((1 2, 3 4), (5 6, 7 8))` as lists of lists of numbers. */
class Nested {
  private at = 0;

  constructor(private readonly text: string) {}

  read(): unknown[] | null {
    const found = this.list(0);
    return this.text.slice(this.at).replace(/;\s*$/, '').trim() === '' ? found : null;
  }

  private list(depth: number): unknown[] | null {
    if (depth > 3 || !this.takes('(')) return null;
    const found: unknown[] = [];
    do {
      const one = this.peek() === '(' ? this.list(depth + 1) : this.position();
      if (one === null) return null;
      found.push(one);
    } while (this.takes(','));
    return this.takes(')') ? found : null;
  }

  private position(): Position | null {
    const found = /^\s*([+-]?[\d.]+(?:e[+-]?\d+)?)\s+([+-]?[\d.]+(?:e[+-]?\d+)?)(?:\s+[+-]?[\d.]+(?:e[+-]?\d+)?){0,2}\s*(?=[,)])/i.exec(this.text.slice(this.at, this.at + 200));
    if (found === null) return null;
    const [lon, lat] = [Number(found[1]), Number(found[2])];
    this.at += found[0].length;
    return Number.isFinite(lon) && Number.isFinite(lat) ? [lon, lat] : null;
  }

  private peek(): string {
    while (/\s/.test(this.text[this.at] ?? '')) this.at += 1;
    return this.text[this.at] ?? '';
  }

  private takes(sign: string): boolean {
    if (this.peek() !== sign) return false;
    this.at += 1;
    return true;
  }
}
