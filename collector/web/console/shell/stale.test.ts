import { describe, expect, it } from 'vitest';
import { ServerTime, isOld, staleness } from './stale';

const at = (seconds: number, more: object = {}) =>
  staleness({ heardMs: 1_000, nowMs: 1_000 + seconds * 1_000, driftMs: 0, ingestAgeS: 1, ...more });

describe('a stream', () => {
  it.each([
    [0, 'fresh'],
    [19.9, 'fresh'],
    [20, 'amber'],
    [59.9, 'amber'],
    [60, 'red'],
  ])('that is silent for %d s is %s', (seconds, level) => expect(at(seconds).stream).toBe(level));

  it('that never spoke is red', () => expect(at(0, { heardMs: null }).stream).toBe('red'));

  it('is red after a sleep, however short the silence on the monotonic clock', () => {
    expect(at(1, { driftMs: 5_001 })).toMatchObject({ stream: 'red', isAsleep: true });
    expect(at(1, { driftMs: -5_001 }).stream).toBe('red');
    expect(at(1, { driftMs: 4_000 }).stream).toBe('fresh');
  });
});

describe('the field', () => {
  it.each([
    [29, 'fresh'],
    [30, 'amber'],
    [119, 'amber'],
    [120, 'red'],
  ])('unheard for %d s is %s', (ingestAgeS, level) => expect(at(0, { ingestAgeS }).field).toBe(level));

  it('waits for three expected batches, and ages with the silence of the stream', () => {
    expect(at(0, { ingestAgeS: 100, batchS: 60 }).field).toBe('fresh');
    expect(at(19, { ingestAgeS: 15 }).field).toBe('amber');
  });

  it('of a centre that never heard a unit is nobody’s fault', () => expect(at(0, { ingestAgeS: null }).field).toBe('fresh'));
});

describe('time', () => {
  it('is the server’s, carried on', () => {
    const time = new ServerTime();
    expect(time.at(5)).toBeNull();
    time.hear(1_000_000, 500, 7_000_000);
    expect(time.at(1_500)).toBe(1_001_000);
    expect(time.drift(1_500, 7_001_000)).toBe(0);
    expect(time.drift(1_500, 7_061_000)).toBe(60_000);
  });

  it('makes a position old after two minutes, and one that never was at once', () => {
    expect([isOld(1_000, 880), isOld(1_000, 879), isOld(1_000, 0)]).toEqual([false, true, true]);
  });
});
