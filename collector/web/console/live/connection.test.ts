import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Connection } from './connection';
import type { Ask, News } from './words';

let asked: string[] = [];
let hear: (news: News) => void = () => undefined;
let isMute = false;
let opened = 0;
let nowMs = 0;

beforeEach(() => {
  vi.useFakeTimers();
  [asked, isMute, opened, nowMs] = [[], false, 0, 0];
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  vi.stubGlobal('SharedWorker', class {
    onerror: (() => void) | null = null;
    readonly port = {
      onmessage: null as ((message: { data: News }) => void) | null,
      postMessage: (ask: Ask) => {
        asked.push(ask.kind);
        if (ask.kind === 'ping' && !isMute) hear({ kind: 'pong' });
      },
    };
    constructor() {
      hear = (data) => this.port.onmessage?.({ data });
    }
  });
  vi.stubGlobal('EventSource', class {
    constructor() {
      opened += 1;
    }
    addEventListener(): void {}
    close(): void {}
  });
  vi.stubGlobal('addEventListener', () => undefined);
  vi.stubGlobal('removeEventListener', () => undefined);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

test('a hidden tab whose timers run once a minute keeps to the common stream while that is down', () => {
  const connection = new Connection(() => undefined);
  connection.begin(1);
  for (let minute = 0; minute < 5; minute += 1) {
    nowMs += 60_000;
    vi.advanceTimersByTime(10_000);
  }
  expect([opened, asked.includes('leave')]).toEqual([0, false]);
});

test('after a sleep of the computer the first look is no verdict', () => {
  const connection = new Connection(() => undefined);
  connection.begin(1);
  isMute = true;
  vi.advanceTimersByTime(10_000); // asked; the answer waits behind the sleep
  isMute = false;
  nowMs = 1e9;
  vi.advanceTimersByTime(10_000);
  expect(opened).toBe(0);
});

test('from a worker that stays mute a tab takes leave, and opens a stream of its own', () => {
  const connection = new Connection(() => undefined);
  connection.begin(1);
  isMute = true;
  vi.advanceTimersByTime(40_000);
  expect([opened, asked.at(-1)]).toEqual([1, 'leave']);
});
