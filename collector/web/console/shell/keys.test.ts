import { describe, expect, it } from 'vitest';
import { ACTIONS, DEFAULT_KEYS, meaning, moved, readKeys } from './keys';

const press = (key: string, more: object = {}) => ({ key, ctrlKey: false, altKey: false, metaKey: false, isTyping: false, ...more });
const means = (key: string, more: object = {}, isOn = true, isGoing = false) => meaning(press(key, more), DEFAULT_KEYS, isOn, isGoing);

describe('a key', () => {
  it('means one action', () => {
    expect(means('a')).toBe('ack');
    expect(means('Enter')).toBe('open');
    expect(means('q')).toBeNull();
  });

  it('means nothing while somebody types, but Escape', () => {
    expect(means('a', { isTyping: true })).toBeNull();
    expect(means('Enter', { isTyping: true })).toBeNull();
    expect(means('Escape', { isTyping: true })).toBe('close');
  });

  it('with Ctrl, Alt or Meta is the browser’s', () => {
    for (const held of ['ctrlKey', 'altKey', 'metaKey']) expect(means('a', { [held]: true })).toBeNull();
  });

  it('is silent when keys are off, but Enter and Escape', () => {
    expect([means('a', {}, false), means('Enter', {}, false), means('Escape', {}, false)]).toEqual([null, 'open', 'close']);
  });

  it('after g names a screen', () => expect(means('m', {}, true, true)).toEqual({ go: 'm' }));

  it('may be moved, and then no two actions share one', () => {
    const keys = moved(DEFAULT_KEYS, 'ack', 't');
    expect([keys.ack, keys.take]).toEqual(['t', 'a']);
    expect(new Set(Object.values(keys)).size).toBe(ACTIONS.length);
    expect(moved(DEFAULT_KEYS, 'ack', 'Enter')).toBe(DEFAULT_KEYS);
  });

  it('that was stored badly is the default', () => {
    expect(readKeys({ ack: 't' })).toBe(DEFAULT_KEYS); // two actions on one key
    expect(readKeys('x')).toBe(DEFAULT_KEYS);
    expect(readKeys({ ack: 'z', open: 'z' })).toMatchObject({ ack: 'z', open: 'Enter' });
  });
});
