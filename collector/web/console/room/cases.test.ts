import { expect, test } from 'vitest';
import { Refused } from '../lib/decode';
import { readAlert } from '../lib/alerts';
import type { Alert } from '../lib/alerts';
import { casesOf, platesOf, readCase } from './cases';
import type { Case } from './cases';

const ROW = { number: 7, version: 3, state: 'DISPATCHED', opened: 1_000, opened_by: 'op-07', changed: 2_000, assignee: 'op-03', crew: null, outcome: null, resolved_by: null, alerts: ['a', 'b', 'gone'] };

test('a case keeps unknown empty, and what is none is refused', () => {
  expect(readCase(ROW)).toMatchObject({ number: 7, state: 'DISPATCHED', assignee: 'op-03', crew: '', outcome: '' });
  for (const row of [null, {}, { ...ROW, version: 'x' }]) expect(readCase(row)).toBeInstanceOf(Refused);
  expect(casesOf({ rows: [ROW, {}] })).toHaveLength(1);
  expect(casesOf(null)).toEqual([]);
});

test('a case is named by the trucks in it, each once', () => {
  const alert = (id: string, plate: string) => [id, readAlert({ id, rev: 1, code: 'X', prio: 1, stage: 'ACKED', since: 1, plate }) as Alert] as const;
  expect(platesOf(readCase(ROW) as Case, new Map([alert('a', '01A123BC'), alert('b', '01A123BC'), alert('c', 'other')]))).toEqual(['01A123BC']);
});
