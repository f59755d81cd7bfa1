import { describe, expect, it } from 'vitest';
import { Refused } from '../lib/decode';
import { bandOf, circleOf, metresBetween } from '../lib/ground';
import { pasted } from './paste';
import { degreesOf, emptyShape, featureOf, isWhole, listsOf, partOf, readShape, withList, withProperty } from './shape';
import type { Shape } from './shape';

const RING = [[69, 41], [70, 41], [70, 42], [69, 41]];
const free = () => 'shape-1';

function read(text: string): readonly Shape[] {
  const found = pasted(text, free);
  if (found instanceof Refused) throw new Error(found.reason);
  return found;
}

function why(text: string): string {
  const found = pasted(text, free);
  return found instanceof Refused ? found.reason : 'taken';
}

describe('a shape', () => {
  it('goes out as it came in, with properties that nobody here knows', () => {
    const holed = { type: 'MultiPolygon', coordinates: [[RING, [[69.1, 41.01], [69.2, 41.01], [69.2, 41.02], [69.1, 41.01]]], [RING]] };
    for (const geometry of [{ type: 'Polygon', coordinates: [RING] }, holed, { type: 'LineString', coordinates: [[69, 41], [70, 41]] }, { type: 'Point', coordinates: [69, 41] }]) {
      const feature = { type: 'Feature', properties: { id: 'a', kind: 'plant', edges: 'straight', own: [1] }, geometry };
      const shape = readShape(feature);
      expect(shape instanceof Refused ? shape.reason : featureOf(shape)).toEqual(feature);
    }
  });

  it('is not closed, turned or cut for anybody', () => {
    const open = { type: 'Feature', properties: {}, geometry: { type: 'Polygon', coordinates: [[[69, 41], [70, 41], [70, 42], [69, 42]]] } };
    expect(readShape(open)).toMatchObject({ reason: 'not_closed' });
    expect(readShape({ ...open, geometry: { type: 'GeometryCollection', geometries: [] } })).toMatchObject({ reason: 'wrong_type' });
    expect(readShape({ ...open, geometry: { type: 'LineString', coordinates: [[69, '41']] } })).toMatchObject({ reason: 'not_geojson' });
  });

  it('names its rings and changes one alone', () => {
    const { drawn } = read('MULTIPOLYGON(((0 0, 4 0, 4 4, 0 0), (1 1, 2 1, 2 2, 1 1)), ((9 9, 8 9, 8 8, 9 9)))')[0]!;
    expect([0, 1, 2].map((n) => partOf(drawn, n))).toEqual([{ outline: 1, hole: 0 }, { outline: 1, hole: 1 }, { outline: 2, hole: 0 }]);
    const changed = listsOf(withList(drawn, 1, [[5, 5]]));
    expect(changed[1]).toEqual([[5, 5]]);
    expect([changed[0], changed[2]]).toEqual([listsOf(drawn)[0], listsOf(drawn)[2]]);
  });

  it('is asked about only when there is enough of it', () => {
    for (const kind of ['polygon', 'circle', 'line'] as const) expect(isWhole(emptyShape('a', kind))).toBe(false);
    const circle = emptyShape('a', 'circle');
    expect(isWhole({ ...circle, drawn: withList(circle.drawn, 0, [[69, 41]]) })).toBe(true);
  });

  it('loses a setting that is emptied, so that the built-in one holds', () => {
    const shape = withProperty(emptyShape('a', 'line'), 'half_width_m', null);
    expect(featureOf(shape).properties).toEqual({ id: 'a' });
  });
});

describe('text that is pasted', () => {
  it('is WKT of any spelling, or GeoJSON of any wrapping', () => {
    expect(read('SRID=4326;polygon z ((69 41 5, 70 41 5,70 42 5 , 69 41 5))')[0]!.drawn).toEqual({ kind: 'polygon', polygons: [[[[69, 41], [70, 41], [70, 42]]]] });
    expect(read('LINESTRING (69 41, 7.0e1 41)')[0]!.drawn).toEqual({ kind: 'line', points: [[69, 41], [70, 41]] });
    expect(read('POINT(69 41)')[0]).toMatchObject({ drawn: { kind: 'circle', centre: [69, 41] }, properties: { radius_m: 500 } });
    const geometry = { type: 'Polygon', coordinates: [RING] };
    const feature = { type: 'Feature', properties: { id: 'b' }, geometry };
    for (const one of [geometry, feature, { type: 'FeatureCollection', features: [feature] }]) expect(read(JSON.stringify(one))).toHaveLength(1);
    expect(read(JSON.stringify(feature))[0]!.id).toBe('b');
    expect(read(JSON.stringify(geometry))[0]!.id).toBe('shape-1');
  });

  it.each([
    ['', 'empty'],
    ['{"type":"FeatureCollection","features":[]}', 'empty'],
    ['{"type":"Poly', 'not_geojson'],
    ['[1, 2]', 'not_geojson'],
    ['hello', 'no_shape'],
    ['SRID=3857;POINT(1 2)', 'other_system'],
    ['MULTIPOINT((1 2))', 'wrong_type'],
    ['POLYGON((69 41, 70 41, 70 42, 69 42))', 'not_closed'],
    ['POLYGON((69 41, 70 41, 69 41))', 'too_few_points'],
    ['POLYGON((69 41, 70 41', 'not_wkt'],
    ['POLYGON((69 41, 70 x, 70 42, 69 41))', 'not_wkt'],
    ['POLYGON(69 41, 70 41, 70 42, 69 41)', 'not_wkt'],
    ['POINT(69 41) POINT(1 1)', 'not_wkt'],
    ['POLYGON((((((((1 1))))))))', 'not_wkt'],
  ])('%s is refused by name', (text, reason) => {
    expect(why(text)).toBe(reason);
  });
});

describe('degrees', () => {
  it('take a comma and are kept to the ten-millionth', () => {
    expect([degreesOf(' 41,25 '), degreesOf('-0.12345678'), degreesOf('−5')]).toEqual([41.25, -0.1234568, -5]);
    expect([degreesOf(''), degreesOf('41 15'), degreesOf('1e3'), degreesOf('NaN'), degreesOf('.')]).toEqual([null, null, null, null, null]);
  });
});

describe('the ground', () => {
  it('beside a line reaches equally far on both sides of each stretch and around each place', () => {
    const line = [[69.2, 41.2], [69.202, 41.198], [69.202, 41.198], [69.204, 41.2]] as const;
    const [first, second, ...discs] = bandOf(line, 200);
    expect(discs).toHaveLength(4); // the stretch without a length is none
    for (const corner of [first![0]!, first![1]!]) expect(metresBetween(corner, line[0])).toBeCloseTo(200, 0);
    for (const corner of [second![2]!, second![3]!]) expect(metresBetween(corner, line[3])).toBeCloseTo(200, 0);
    expect(metresBetween(first![0]!, first![1]!)).toBeCloseTo(400, 0);
    expect(first![4]).toEqual(first![0]);
    for (const place of discs[1]!) expect(metresBetween(place, line[1])).toBeCloseTo(200, 0);
  });

  it('has a circle of its radius at any latitude', () => {
    for (const lat of [0, 41, -65]) for (const place of circleOf([69, lat], 5_000)) expect(metresBetween([69, lat], place)).toBeCloseTo(5_000, -2);
  });
});
