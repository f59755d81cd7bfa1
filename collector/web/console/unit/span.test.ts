import { expect, test } from 'vitest';
import { DAY_MS, localText, msOf, spanOf } from './span';

test('a field speaks in the zone of the site and back again', () => {
  const ms = Date.UTC(2026, 10, 28, 4, 30);
  expect(localText(ms, 300)).toBe('2026-11-28T09:30');
  expect(msOf('2026-11-28T09:30', 300)).toBe(ms);
  expect(msOf('', 300)).toBeNull();
});

test('an address without a good time means the last day', () => {
  expect(spanOf('1000', '2000', 9_000)).toEqual({ beginMs: 1_000, endMs: 2_000 });
  for (const [from, to] of [['', ''], ['2000', '1000'], ['x', '1'], ['-5', '1']] as const) expect(spanOf(from, to, 9e9)).toEqual({ beginMs: 9e9 - DAY_MS, endMs: 9e9 });
});
