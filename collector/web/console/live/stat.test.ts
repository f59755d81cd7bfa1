import { expect, test } from 'vitest';
import { Refused } from '../lib/decode';
import { readStat } from './stat';

test('desks without anybody, and those for which one stands in, are named', () => {
  const stat = readStat({ t: 1, unattended: ['a1', 'b1'], stands_in: ['a1'] });
  if (stat instanceof Refused) throw new Error(stat.reason);
  expect(stat.unattended).toEqual(['a1', 'b1']);
  expect(stat.standsIn).toEqual(['a1']);
});

test('a store that takes nothing is told, and a collector that says nothing of it keeps', () => {
  const kept = [{ kept: true }, { kept: false }, {}].map((said) => readStat({ t: 1, ...said }));
  expect(kept.map((stat) => !(stat instanceof Refused) && stat.isKept)).toEqual([true, false, true]);
});

test('what an older collector does not say is nobody', () => {
  const stat = readStat({ t: 1 });
  if (stat instanceof Refused) throw new Error(stat.reason);
  expect([stat.unattended, stat.standsIn]).toEqual([[], []]);
});
