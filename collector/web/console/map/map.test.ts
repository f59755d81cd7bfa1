import { describe, expect, it } from 'vitest';
import { NO_UNITS } from '../lib/columns';
import type { Units } from '../lib/columns';
import { readAlert } from '../lib/alerts';
import type { Alert } from '../lib/alerts';
import { marksOf, worstOf } from './marks';
import { clipOf, mercator } from './mercator';
import { picked } from './pick';

const at = (...rows: [no: number, lon: number, lat: number, atS?: number][]): Units => ({
  ...NO_UNITS,
  n: rows.length,
  no: Uint32Array.from(rows, ([no]) => no),
  lonE6: Int32Array.from(rows, ([, lon]) => lon * 1e6),
  latE6: Int32Array.from(rows, ([, , lat]) => lat * 1e6),
  atS: Uint32Array.from(rows, ([, , , atS]) => atS ?? 1),
});
const WORLD = { west: -180, south: -90, east: 180, north: 90 };
const project = (lon: number, lat: number) => ({ x: lon * 10, y: lat * 10 });

describe('what is here', () => {
  it('lists all within reach, the nearest first', () => {
    expect(picked(at([1, 10, 10], [2, 11, 10], [3, 12.2, 10]), WORLD, { x: 109, y: 100 }, project)).toEqual([2, 1]);
  });

  it('never lists a unit that has no place', () => {
    expect(picked(at([1, 0, 0, 0]), WORLD, { x: 0, y: 0 }, project)).toEqual([]);
  });

  it('tells trucks on one spot apart by number', () => {
    expect(picked(at([1, 5, 5], [2, 5, 5]), WORLD, { x: 50, y: 50 }, project)).toEqual([1, 2]);
  });
});

describe('mercator', () => {
  it('has its corners where the world has them', () => {
    expect(mercator(0, 0)).toEqual({ x: 0.5, y: 0.5 });
    expect(mercator(180, 85.0511287798).y).toBeCloseTo(0, 9);
  });

  it('has the centre in the middle, and half a pixel at street level', () => {
    const [width, height, zoom] = [800, 600, 18];
    const [origin, centre, truck] = [mercator(64.5, 41.4), mercator(66, 41), mercator(66.0001, 41.0001)];
    const matrix = clipOf({ centre, world: 512 * 2 ** zoom, width, height }, origin);
    const pixel = ({ x, y }: { x: number; y: number }) => {
      const [rx, ry] = [Math.fround(x - origin.x), Math.fround(y - origin.y)];
      return [((matrix[0]! * rx + matrix[12]! + 1) * width) / 2, ((1 - matrix[5]! * ry - matrix[13]!) * height) / 2];
    };
    const scale = 512 * 2 ** zoom;
    const at = (point: { x: number; y: number }) => [width / 2 + (point.x - centre.x) * scale, height / 2 + (point.y - centre.y) * scale];
    for (const point of [centre, truck]) {
      pixel(point).forEach((found, i) => expect(Math.abs(found - at(point)[i]!)).toBeLessThan(0.5));
    }
  });
});

describe('marks', () => {
  const alert = (no: number, more: object = {}) =>
    readAlert({ id: `${no}-${JSON.stringify(more)}`, rev: 1, no, plate: `t${no}`, code: 'X', prio: 2, stage: 'UNACKED', since: 1, ...more }) as Alert;

  it('stand where the unit is now, the worst alert of each, the worst first', () => {
    const { marks, of } = marksOf(worstOf([alert(1, { lon: 1, lat: 1 }), alert(2), alert(1, { prio: 1 })]), at([1, 60, 40], [2, 61, 41]));
    expect(marks.map(({ no, lon, icon }) => [no, lon, icon])).toEqual([[1, 60, 'p1-full'], [2, 61, 'p2-full']]);
    expect(of).toBe(2);
  });

  it('are not made where nobody knows a place, nor for what is shelved or closed', () => {
    const rows = [alert(1), alert(2, { stage: 'SHELVED', lon: 1, lat: 1 }), alert(3, { stage: 'CLOSED', lon: 1, lat: 1 })];
    expect(marksOf(worstOf(rows), at())).toEqual({ marks: [], of: 0 });
  });

  it('are 500 at most, and what is over the bound is counted', () => {
    const rows = Array.from({ length: 600 }, (_, i) => alert(i + 1, { lon: 66, lat: 40 }));
    const { marks, of } = marksOf(worstOf([...rows, alert(700)]), at());
    expect([marks.length, of]).toEqual([500, 600]);
  });

  it('stand where it happened while the unit itself has no place', () => {
    expect(marksOf(worstOf([alert(1, { lon: 66, lat: 40 })]), at([1, 0, 0, 0])).marks).toMatchObject([{ lon: 66, lat: 40 }]);
  });
});
