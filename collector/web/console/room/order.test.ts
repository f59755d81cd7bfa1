import { describe, expect, it } from 'vitest';
import { Refused } from '../lib/decode';
import { readAlert } from '../lib/alerts';
import type { Alert } from '../lib/alerts';
import { isPossible } from './acts';
import { bandOf, groupsOf, inQueueOrder, settled, unfolded } from './order';

function alert(id: string, more: Record<string, unknown> = {}): Alert {
  const read = readAlert({ id, rev: 1, no: 1, plate: id, code: 'UNSCHEDULED_STOP', prio: 3, stage: 'UNACKED', since: 1_000, ...more });
  if (read instanceof Refused) throw new Error(read.reason);
  return read;
}
const ids = (rows: readonly Alert[]) => rows.map(({ id }) => id).join(' ');

describe('the queue', () => {
  it('has the un-acknowledged first, then priority, then the oldest', () => {
    const rows = [
      alert('acked1', { stage: 'ACKED', prio: 1 }),
      alert('new3', { since: 3_000 }),
      alert('old3', { since: 2_000 }),
      alert('over2', { stage: 'CLEARED_UNACKED', prio: 2 }),
      alert('new1', { prio: 1, since: 9_000 }),
    ];
    expect(ids(inQueueOrder(rows))).toBe('new1 over2 old3 new3 acked1');
  });

  it('takes everything in while nobody points at it', () => {
    const { rows, waiting } = settled([], [alert('a'), alert('b')], false);
    expect([rows.length, waiting]).toEqual([2, 0]);
  });

  it('moves no row while the pointer is over it, and says how many wait', () => {
    const before = settled([], [alert('b'), alert('c')], false).rows;
    const { rows, waiting } = settled(before, [alert('a', { prio: 1 }), alert('c', { rev: 2, stage: 'ACKED' })], true);
    expect(rows.map((row) => [row.alert.id, row.isGone])).toEqual([['b', true], ['c', false]]);
    expect(rows[1]?.alert.state).toBe('ACKED'); // what it has become is told at once
    expect(waiting).toBe(1);
  });

  it('hides what is folded under a row that stands, and only that', () => {
    const rows = [alert('top', { more: 1 }), alert('under', { under: 'top' }), alert('orphan', { under: 'gone' })];
    expect(ids(unfolded(rows, new Map(rows.map((row) => [row.id, row]))))).toBe('top orphan');
  });

  it('has five un-acknowledged criticals at most in its band', () => {
    const rows = inQueueOrder([1, 2, 3, 4, 5, 6].map((n) => alert(`c${n}`, { prio: 1, since: n })));
    expect(ids(bandOf([...rows, alert('x')]))).toBe('c1 c2 c3 c4 c5');
  });
});

describe('a flood', () => {
  it('is grouped by cause, criticals stand alone, and nothing is dropped', () => {
    const rows = [
      alert('c', { prio: 1, code: 'SEAL_OPEN_UNAUTHORISED' }),
      alert('d', { prio: 1, code: 'SEAL_OPEN_UNAUTHORISED' }),
      alert('r', { prio: 2, code: 'ROUTE_DEVIATION' }),
      ...[1, 2, 3].map((n) => alert(`s${n}`)),
    ];
    const { single, groups } = groupsOf(rows);
    expect(ids(single)).toBe('c d r');
    expect(groups.map(({ code, rows: members }) => [code, members.length])).toEqual([['UNSCHEDULED_STOP', 3]]);
  });
});

describe('an act', () => {
  const me = { user: 'op-07', role: 'operator' };
  it.each([
    ['ack', {}, true],
    ['ack', { stage: 'ACKED' }, false],
    ['shelve', { prio: 1 }, false],
    ['shelve', {}, true],
    ['reset', { stage: 'ACKED' }, false],
    ['reset', { stage: 'ACKED', code: 'SEAL_CASING_TAMPER' }, true],
    ['second', { stage: 'RESET_PROPOSED' }, false],
    ['take', { owner: 'op-07' }, false],
    ['unshelve', { stage: 'SHELVED' }, true],
  ] as const)('%s of %j: %s', (act, more, is) => expect(isPossible(act, alert('a', more), me)).toBe(is));

  it('of confirming is a supervisor’s', () => {
    expect(isPossible('second', alert('a', { stage: 'RESET_PROPOSED' }), { user: 'sv', role: 'supervisor' })).toBe(true);
  });
});

describe('a row', () => {
  it.each([[null], [{}], [{ id: 'a', rev: 1, code: 'X', prio: 1, stage: 'LOST', since: 1 }]])('that is none is refused: %j', (row) => {
    expect(readAlert(row)).toBeInstanceOf(Refused);
  });
});
