/** What this browser keeps for its user: theme, keys. Law: nothing of it is needed; a broken store gives the defaults. */
import { isFields, parsed } from '../lib/decode';
import { DEFAULT_KEYS, readKeys } from './keys';
import type { KeyMap } from './keys';

const NAME = 'plomba';
export type Theme = 'dark' | 'light';

export class Settings {
  theme = $state<Theme>('dark');
  language = $state('');
  keys = $state.raw<KeyMap>(DEFAULT_KEYS);
  areKeysOn = $state(true);
  isMapDim = $state(false);
  desk = $state('');

  constructor() {
    const stored = parsed(read() ?? '');
    if (!isFields(stored)) return;
    if (stored['theme'] === 'light') this.theme = 'light';
    if (typeof stored['language'] === 'string') this.language = stored['language'];
    if (typeof stored['desk'] === 'string') this.desk = stored['desk'].slice(0, 16);
    if (stored['keysOff'] === true) this.areKeysOn = false;
    if (stored['dim'] === true) this.isMapDim = true;
    this.keys = readKeys(stored['keys']);
  }

  save(): void {
    const { theme, language, keys, areKeysOn, isMapDim, desk } = this;
    try {
      localStorage.setItem(NAME, JSON.stringify({ theme, language, keys, keysOff: !areKeysOn, dim: isMapDim, desk }));
    } catch {
      // a browser that keeps nothing: the choice holds until the page is left
    }
  }
}

function read(): string | null {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
}
