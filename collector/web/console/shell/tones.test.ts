import { describe, expect, it } from 'vitest';
import { NOTHING_TOLD, due } from './tones';
import type { Sounding, Tone } from './tones';

const quiet: Sounding = { nowMs: 0, alerts: [], isLinkLost: false, isFlood: false, mutedUntilMs: 0 };

/** Seconds at which tones sound, from a script of what is there when. */
function heard(seconds: number, at: (s: number) => Partial<Sounding>): [number, Tone][] {
  const said: [number, Tone][] = [];
  let told = NOTHING_TOLD;
  for (let s = 0; s <= seconds; s += 1) {
    const now = due(told, { ...quiet, nowMs: s * 1_000, ...at(s) });
    told = now.told;
    if (now.tone !== null) said.push([s, now.tone]);
  }
  return said;
}

const one = (prio: number, id = 'a') => ({ alerts: [{ id, prio }] });

describe('sound', () => {
  it('of a critical comes every ten seconds until it is acknowledged', () => {
    expect(heard(30, (s) => (s < 25 ? one(1) : {}))).toEqual([[0, 'critical'], [10, 'critical'], [20, 'critical']]);
  });

  it('of a high alert comes every minute, of a medium one once, of a low one never', () => {
    expect(heard(70, () => one(2))).toEqual([[0, 'high'], [60, 'high']]);
    expect(heard(90, () => one(3))).toEqual([[0, 'medium']]);
    expect(heard(90, () => one(4))).toEqual([]);
  });

  it('comes at once for a second alert, and again when one worsens', () => {
    expect(heard(5, (s) => (s < 3 ? one(2) : { alerts: [...one(2).alerts, { id: 'b', prio: 2 }] }))).toEqual([[0, 'high'], [3, 'high']]);
    expect(heard(5, (s) => one(s < 3 ? 3 : 2))).toEqual([[0, 'medium'], [3, 'high']]);
    expect(heard(5, (s) => one(s < 3 ? 2 : 3))).toEqual([[0, 'high']]);
  });

  it('of a lesser alert waits for the worse one', () => {
    expect(heard(3, () => ({ alerts: [{ id: 'a', prio: 1 }, { id: 'b', prio: 3 }] }))).toEqual([[0, 'critical'], [1, 'medium']]);
  });

  it('is muted for a time, but never for a critical', () => {
    const both = { alerts: [{ id: 'a', prio: 2 }, { id: 'b', prio: 1 }], mutedUntilMs: 60_000 };
    expect(heard(5, () => both)).toEqual([[0, 'critical']]);
  });

  it('of medium alerts is silent in a flood', () => {
    expect(heard(5, () => ({ ...one(3), isFlood: true }))).toEqual([]);
    expect(heard(5, () => ({ ...one(1), isFlood: true }))).toEqual([[0, 'critical']]);
  });

  it('tells a lost link every ten seconds', () => {
    expect(heard(11, () => ({ isLinkLost: true }))).toEqual([[0, 'link'], [10, 'link']]);
  });
});
