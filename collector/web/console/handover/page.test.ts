import { expect, test } from 'vitest';
import { Refused } from '../lib/decode';
import { readPage } from './page';

const ROW = { id: 'ab', rev: 1, no: 7, code: 'UNSCHEDULED_STOP', prio: 3, stage: 'ACKED', since: 1 };

test('a page has its rows by kind, and counts what it could not read', () => {
  const page = readPage({ desk: 'A1', critical: 0, open: [ROW, { id: 'x' }], shelved: [], out: [ROW], newest: null });
  expect(page).toMatchObject({ desk: 'A1', unread: 1, newest: null });
  expect(page instanceof Refused ? [] : [page.rows.open.length, page.rows.out.length]).toEqual([1, 1]);
});

test('one that is signed waits until somebody has confirmed it', () => {
  const signed = { number: 3, at: 5, outgoing: 'op-07', note: 'n', incoming: null };
  expect(readPage({ desk: 'A1', critical: 2, newest: signed })).toMatchObject({ critical: 2, newest: { number: 3, incoming: '' } });
});

test('what is no page is refused', () => {
  expect(readPage({ desk: 'A1' })).toBeInstanceOf(Refused);
  expect(readPage(null)).toBeInstanceOf(Refused);
});
