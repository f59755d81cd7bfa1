import { describe, expect, it } from 'vitest';
import { Refused } from '../lib/decode';
import { isDeaf, readLoad } from './load';
import type { Load } from './load';
import { labelled, shareOf, topOf } from './scale';

const SAID = { begin: '2026-11-21T06:00:00Z', end: '2026-11-28T06:00:00Z', annunciated: 4, vehicle_hours: 2, desk: 'north', desks: ['north', 'south'] };

function read(more: object = {}): Load {
  const found = readLoad({ ...SAID, ...more });
  if (found instanceof Refused) throw new Error(found.reason);
  return found;
}

describe('the load', () => {
  it('is read as the server reckoned it; what it does not know stays unknown', () => {
    const load = read({
      figures: [{ name: 'stale', value: 5, limit: 5, ok: false }],
      rules: [{ code: 'SEAL_LOST', times: 4, percent: 100, budget_percent: 0.4, precision_percent: null, ok: false }],
      per_1000_vehicle_hours: null,
      bars: [{ begin: '2026-11-21T06:00:00Z', annunciated: 4, per_window_mean: 0.67, per_window_max: 3 }, { begin: 'never' }],
    });
    expect(load.figures).toEqual([{ name: 'stale', value: 5, limit: 5, ok: false }]);
    expect(load.rules[0]).toMatchObject({ budgetPercent: 0.4, precisionPercent: null });
    expect(load.perVehicleHours).toBeNull();
    expect(load.stretches).toEqual([{ beginMs: Date.UTC(2026, 10, 21, 6), annunciated: 4, mean: 0.67, most: 3 }]);
  });

  it('is none without its time', () => {
    expect([readLoad(null), readLoad({}), readLoad({ ...SAID, end: 'soon' })].every((one) => one instanceof Refused)).toBe(true);
  });

  it('is no good news where nobody was there to raise an alarm', () => {
    expect([isDeaf(read()), isDeaf(read({ annunciated: 0 })), isDeaf(read({ annunciated: 0, vehicle_hours: 0 }))]).toEqual([false, false, true]);
  });
});

describe('a chart', () => {
  it('always has its limit lines on it, and nought at its foot', () => {
    expect(topOf([], [1, 2])).toBeGreaterThan(2);
    expect(topOf([40], [10])).toBeGreaterThan(40);
    expect([shareOf(0, 4), shareOf(2, 4), shareOf(9, 4), shareOf(-1, 4)]).toEqual([0, 0.5, 1, 0]);
  });

  it('bears as many words as there is room for', () => {
    expect(labelled(5, 10)).toEqual([0, 1, 2, 3, 4]);
    expect(labelled(168, 7)).toEqual([0, 24, 48, 72, 96, 120, 144]);
    expect(labelled(0, 5)).toEqual([]);
  });
});
