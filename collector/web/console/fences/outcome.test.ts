import { describe, expect, it } from 'vitest';
import { readLine } from './outcome';

const RESULT = {
  percent: 61, units: 3, of_units: 9, batches: 40, positions: 2_400, partial: true, days: 7, alarms: 14, on_units: 9,
  also_today: 11, gone: 2, budget_percent: 1.4, by_code: [{ code: 'FORBIDDEN_ZONE', alarms: 14, also_today: 11, gone: 2 }], more: 1,
  rows: [
    { code: 'FORBIDDEN_ZONE', prio: 1, unit: 'uz-01', at: 1_790_000_000_000, lat: 41.2, lon: 69.2, zone: 'yard', route: null, by_draft: true, today: false },
    { code: 'FORBIDDEN_ZONE', prio: 1, unit: 'uz-02', at: 1_790_000_000_000, lat: null, lon: null, zone: 'yard', route: null, by_draft: true, today: true },
    { code: 'ROUTE_DEVIATION', prio: 2, unit: 'uz-03', at: 1_790_000_000_000, lat: 41, lon: 69, zone: null, route: 'a380', by_draft: false, today: true },
  ],
};

describe('a line of a dry run', () => {
  it('tells how far it is', () => {
    expect(readLine({ progress: { percent: 12, units: 1, of_units: 9, batches: 3, positions: 180 } })).toEqual({
      kind: 'progress',
      progress: { percent: 12, units: 1, ofUnits: 9, batches: 3, positions: 180 },
    });
  });

  it('tells the outcome, and of each alarm by which rules it would be', () => {
    const line = readLine({ result: RESULT });
    if (line?.kind !== 'result') throw new Error('no result');
    expect(line.outcome).toMatchObject({ isPartial: true, alarms: 14, onUnits: 9, alsoToday: 11, gone: 2, budgetPercent: 1.4, more: 1 });
    expect(line.outcome.rows.map(({ mark, of, lon }) => [mark, of, lon])).toEqual([['new', 'yard', 69.2], ['both', 'yard', null], ['gone', 'a380', 69]]);
  });

  it('is partial unless it is said to be whole', () => {
    const line = readLine({ result: { ...RESULT, partial: undefined } });
    expect(line?.kind === 'result' && line.outcome.isPartial).toBe(true);
  });

  it('may be a fault, and nonsense is none at all', () => {
    expect(readLine({ fault: 'it broke off' })).toEqual({ kind: 'fault', why: 'it broke off' });
    expect([readLine(undefined), readLine('x'), readLine({})]).toEqual([null, null, null]);
  });
});
