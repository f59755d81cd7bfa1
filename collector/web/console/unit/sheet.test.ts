import { expect, test } from 'vitest';
import { Refused } from '../lib/decode';
import { readSheet } from './sheet';

test('a sheet keeps unknown unknown', () => {
  expect(readSheet({}) instanceof Refused).toBe(true);
  const sheet = readSheet({ number: 7, unit: 'uz', seals: [{ seal: 'S', life: 'new' }], tags: { expected: 22, aboard: null } });
  expect(sheet).toMatchObject({ fixMs: null, tags: { expected: 22, aboard: null }, seals: [{ life: 'unknown', isLocked: null, batteryPercent: null }] });
});
