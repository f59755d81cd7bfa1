import { expect, test } from 'vitest';
import { Ports } from './ports';
import type { Port } from './ports';
import type { Stream } from './stream';
import type { News } from './words';

const OLD: News = { kind: 'event', name: 'stat', data: '{}', id: '', ageMs: 4 };

/** A stream that is new, or not, as the test says. */
function desk() {
  const stream = { isNew: true, ended: 0, begin: () => ({ isNew: stream.isNew, recent: stream.isNew ? [] : [OLD] }), end: () => (stream.ended += 1) };
  const tab = (): Port & { heard: string[] } => {
    const heard: string[] = [];
    return { heard, postMessage: (news) => heard.push(news.kind === 'event' ? news.name : news.kind) };
  };
  return { ports: new Ports(stream as unknown as Stream), stream, tab };
}

test('a second tab hears what came lately', () => {
  const { ports, stream, tab } = desk();
  const [one, two] = [tab(), tab()];
  ports.answer(one, { kind: 'begin', since: 1 });
  stream.isNew = false;
  ports.answer(two, { kind: 'begin', since: 2 });
  expect([one.heard, two.heard]).toEqual([[], ['stat']]);
});

test('a tab whose stream had ended, and goes on from what another tab has, reads anew', () => {
  const { ports, tab } = desk();
  const [one, reading, two] = [tab(), tab(), tab()];
  ports.add(reading); // has not begun: it reads all by itself
  ports.answer(one, { kind: 'begin', since: 1 });
  ports.answer(two, { kind: 'begin', since: 500 });
  expect([one.heard, reading.heard, two.heard]).toEqual([['reset'], [], []]);
});

test('the last who leaves ends the stream', () => {
  const { ports, stream, tab } = desk();
  const [one, two] = [tab(), tab()];
  for (const port of [one, two]) ports.answer(port, { kind: 'begin', since: 1 });
  ports.answer(one, { kind: 'leave' });
  expect(stream.ended).toBe(0);
  ports.answer(two, { kind: 'leave' });
  expect(stream.ended).toBe(1);
});
