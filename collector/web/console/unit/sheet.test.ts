import { expect, test } from 'vitest';
import { Refused } from '../lib/decode';
import { readAlert } from '../lib/alerts';
import type { Alert } from '../lib/alerts';
import { heldBy, readSheet } from './sheet';
import type { Sheet } from './sheet';

test('a sheet keeps unknown unknown', () => {
  expect(readSheet({}) instanceof Refused).toBe(true);
  const sheet = readSheet({ number: 7, unit: 'uz', seals: [{ seal: 'S', life: 'new' }], tags: { expected: 22, aboard: null } });
  expect(sheet).toMatchObject({ fixMs: null, tags: { expected: 22, aboard: null }, seals: [{ life: 'unknown', isLocked: null, batteryPercent: null }] });
});

test('an entry bears the proof of its own record, and none where the centre says none', () => {
  const row = { at: '2026-11-28T09:30:05Z', code: 'SEAL_OPEN_UNAUTHORISED', seal: 'S1', by: '', proof: 'PENDING', chain: 'ab', batch: 4 };
  const { custody } = readSheet({ number: 7, unit: 'uz', custody: [{ ...row, seal: 'S2', batch: 3 }, row, { ...row, code: 'SEAL_ARMED', proof: null }] }) as Sheet;
  const entry = (code: string, atMs: number, seal: string) => ({ kind: 'alert' as const, key: 'k', atMs, alert: readAlert({ id: 'a', rev: 1, code, prio: 1, stage: 'ACKED', since: atMs, p: { seal } }) as Alert });
  const atMs = Date.UTC(2026, 10, 28, 9, 30, 5, 400);
  expect(heldBy(custody, entry('SEAL_OPEN_UNAUTHORISED', atMs, 'S1'))?.batch).toBe(4);
  expect(heldBy(custody, entry('SEAL_OPEN_UNAUTHORISED', atMs + 1_000, 'S1'))).toBeUndefined();
  expect(heldBy(custody, entry('ROUTE_LEFT', atMs, 'S1'))).toBeUndefined();
  expect(heldBy(custody, entry('SEAL_ARMED', atMs, 'S1'))).toBeUndefined();
  expect(heldBy(custody, { kind: 'gap', key: 'g', atMs, gap: { beginMs: atMs, endMs: atMs, from: [0, 0], to: [0, 0] } })).toBeUndefined();
});
