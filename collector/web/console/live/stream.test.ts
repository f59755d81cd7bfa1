import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Stream } from './stream';
import type { News } from './words';

/** A browser's stream that a test speaks for. */
class Source {
  static readonly CLOSED = 2;
  static all: Source[] = [];
  readyState = 1;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  private readonly hears = new Map<string, (event: object) => void>();

  constructor(readonly url: string) {
    Source.all.push(this);
  }

  addEventListener(name: string, hear: (event: object) => void): void {
    this.hears.set(name, hear);
  }

  say(name: string, data: string, lastEventId = ''): void {
    this.hears.get(name)?.({ data, lastEventId });
  }

  fail(): void {
    this.readyState = Source.CLOSED;
    this.onerror?.();
  }

  close(): void {
    this.readyState = Source.CLOSED;
  }
}

let answers: (() => Promise<{ ok: boolean; status: number }>)[] = [];
const told: News[] = [];
const ok = () => Promise.resolve({ ok: true, status: 200 });
const open = () => Source.all.filter(({ readyState }) => readyState !== Source.CLOSED);

beforeEach(() => {
  vi.useFakeTimers();
  Source.all = [];
  answers = [];
  told.length = 0;
  vi.stubGlobal('EventSource', Source);
  vi.stubGlobal('fetch', (_url: string, { signal }: RequestInit) => (signal?.aborted ? Promise.reject(new Error('late')) : (answers.shift() ?? ok)()));
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

function begun(): Stream {
  const stream = new Stream((news) => told.push(news), () => 0);
  stream.begin(7);
  return stream;
}

test('who joins later hears what came, and how long ago', () => {
  const stream = begun();
  Source.all[0]!.say('stat', '{}', '8');
  vi.advanceTimersByTime(3_000);
  const { isNew, recent } = stream.begin(9);
  expect([isNew, recent.length]).toEqual([false, 1]);
  expect(recent[0]).toMatchObject({ name: 'stat', ageMs: 3_000 });
});

test('a closed stream goes on from the last id', async () => {
  begun();
  Source.all[0]!.say('units', '{}', '8');
  Source.all[0]!.fail();
  await vi.advanceTimersByTimeAsync(1_500);
  expect(Source.all.map(({ url }) => url.split('=')[1])).toEqual(['7', '8']);
});

test('a centre that takes the call and never answers does not hold the next try up for ever', async () => {
  begun();
  vi.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort()); // its time is over at once
  answers = [() => new Promise(() => undefined)];
  Source.all[0]!.fail();
  await vi.advanceTimersByTimeAsync(1_500);
  expect(open()).toHaveLength(1);
});

test('one stream is open, however it was ended and begun while the centre was asked', async () => {
  const stream = begun();
  let answer: (said: { ok: boolean; status: number }) => void = () => undefined;
  answers = [() => new Promise((resolve) => (answer = resolve))];
  Source.all[0]!.fail();
  stream.end();
  stream.begin(20);
  answer({ ok: true, status: 200 });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(open().map(({ url }) => url.split('=')[1])).toEqual(['20']);
});

test('who is not known any more is told to log in, and begins anew afterwards', async () => {
  const stream = begun();
  answers = [ok, () => Promise.resolve({ ok: false, status: 401 })];
  Source.all[0]!.fail();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(told.at(-1)).toEqual({ kind: 'login' });
  expect(open()).toEqual([]);
  expect(stream.begin(30).isNew).toBe(true);
});

test('the fifth of a session does not come back by itself', async () => {
  const stream = begun();
  Source.all[0]!.say('bye', '{"why":"too_many"}');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(open()).toEqual([]);
  expect(stream.begin(30)).toEqual({ isNew: true, recent: [] });
});
