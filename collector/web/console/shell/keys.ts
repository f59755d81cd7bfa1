/**
 * Which action a key means (CONSOLE section 3, keys; WCAG 2.1.4: each movable, all of them switchable off).
 * Law: pure; a key never means anything while somebody types, and none with Ctrl, Alt or Meta is ours.
 */
import { isFields, textOf } from '../lib/decode';

export const ACTIONS = [
  'down', 'up', 'open', 'ack', 'take', 'dispatch', 'note', 'shelve', 'resolve', 'reset', 'search', 'go',
  'pause', 'follow', 'dim', 'mute', 'help', 'close',
] as const;
export type Action = (typeof ACTIONS)[number];
export type KeyMap = Readonly<Record<Action, string>>;

export const DEFAULT_KEYS: KeyMap = {
  down: 'j',
  up: 'k',
  open: 'Enter',
  ack: 'a',
  take: 't',
  dispatch: 'd',
  note: 'n',
  shelve: 's',
  resolve: 'r',
  reset: 'x',
  search: '/',
  go: 'g',
  pause: ' ',
  follow: 'f',
  dim: 'b',
  mute: 'm',
  help: '?',
  close: 'Escape',
};

export const FIXED: readonly Action[] = ['open', 'close']; // Enter and Escape are no letters
export const GO_MS = 2_000; // so long `g` waits for its second key

export interface Press {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly altKey: boolean;
  readonly metaKey: boolean;
  readonly isTyping: boolean;
}

/** The action of a press, or the screen's letter after `go`, or null. */
export function meaning(press: Press, keys: KeyMap, isOn: boolean, isGoing: boolean): Action | { go: string } | null {
  if (press.ctrlKey || press.altKey || press.metaKey) return null;
  if (press.key === keys.close) return 'close'; // also while typing
  if (press.isTyping) return null;
  if (!isOn) return FIXED.find((action) => keys[action] === press.key) ?? null;
  if (isGoing) return { go: press.key };
  return ACTIONS.find((action) => keys[action] === press.key) ?? null;
}

/** The map after `action` was moved to `key`: who had that key takes the one that became free. */
export function moved(keys: KeyMap, action: Action, key: string): KeyMap {
  if (FIXED.includes(action) || FIXED.some((one) => keys[one] === key)) return keys;
  const other = ACTIONS.find((one) => keys[one] === key);
  return { ...keys, ...(other === undefined ? {} : { [other]: keys[action] }), [action]: key };
}

/** A stored map, or the default where it is none. */
export function readKeys(stored: unknown): KeyMap {
  if (!isFields(stored)) return DEFAULT_KEYS;
  const keys = { ...DEFAULT_KEYS };
  for (const action of ACTIONS) {
    const key = textOf(stored[action]);
    if (key !== null && key.length > 0 && key.length <= 12 && !FIXED.includes(action)) keys[action] = key;
  }
  return new Set(Object.values(keys)).size === ACTIONS.length ? keys : DEFAULT_KEYS;
}
