/**
 * A setting as a person says it: its name ends with its unit (`stop_s`, `post_m`), so the name says how its value is said.
 * Law: nothing is rounded. A threshold of 90 seconds is told as 90 seconds, not as a minute.
 */
import { shown } from './alerts';
import { isList } from './decode';
import type { Words } from './words';

const SIZES_S = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
] as const;
const DECIMALS_MAX = 6;

export function settingOf(words: Words, name: string, value: unknown): string {
  if (typeof value === 'number' && Number.isFinite(value)) return measureOf(words, name, value);
  if (typeof value === 'boolean') return words.text(value ? 'unit.yes' : 'unit.no');
  if (isList(value)) return value.length === 0 ? '–' : value.map(shown).join(', ');
  return shown(typeof value === 'string' ? value : JSON.stringify(value));
}

export function measureOf(words: Words, name: string, n: number): string {
  const unit = /_(ms|m_s|s|m|kmh|percent|share)(?:_max|_min)?$/.exec(name)?.[1];
  switch (unit) {
    case 'ms': // a moment of the calendar: before it no time is believed
      return n === 0 ? words.text('unit.any-time') : words.moment(n);
    case 'm_s':
      return words.text('unit.m-s', { n: exact(words, n) });
    case 's':
      return lengthOf(words, n);
    case 'm':
      return n >= 1_000 && n % 100 === 0 ? words.text('unit.km', { n: exact(words, n / 1_000) }) : words.text('unit.m', { n: exact(words, n) });
    case 'kmh':
      return words.text('unit.kmh', { n: exact(words, n) });
    case 'percent':
      return words.text('unit.percent', { n: exact(words, n) });
    case 'share':
      return words.text('unit.percent', { n: exact(words, n * 100) });
    default:
      return exact(words, n);
  }
}

/** In the largest size of which it is a whole number. */
function lengthOf(words: Words, seconds: number): string {
  const [unit, size] = SIZES_S.find(([, one]) => seconds !== 0 && seconds % one === 0) ?? SIZES_S[3];
  return words.text(`unit.${unit}`, { n: exact(words, seconds / size) });
}

function exact(words: Words, n: number): string {
  return words.number(n, DECIMALS_MAX);
}
