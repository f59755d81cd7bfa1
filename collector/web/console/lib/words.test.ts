import { describe, expect, it } from 'vitest';
import en from '../../locales/en.json';
import ru from '../../locales/ru.json';
import uz from '../../locales/uz.json';
import vectors from '../../locales/vectors.json';
import { Words, isLanguage, pluralForm, stopwatch } from './words';
import type { Language } from './words';

const CATALOGUES = { en, ru, uz };

function said(language: Language, kind: string, input: unknown): string {
  const [value, offset] = Array.isArray(input) ? (input as number[]) : [input as number, 0];
  const words = new Words(language, CATALOGUES[language], () => offset ?? 0);
  const n = value ?? Number.NaN;
  switch (kind) {
    case 'span':
      return words.span(n);
    case 'distance':
      return words.distance(n);
    case 'percent':
      return words.percent(n);
    case 'number':
      return words.number(n);
    case 'plural':
      return pluralForm(language, n);
    case 'ago':
      return words.ago(n);
    case 'time':
      return words.time(n);
    case 'date':
      return words.date(n);
    case 'moment':
      return words.moment(n);
    default:
      throw new Error(`vectors.json has a kind that nobody says: ${kind}`);
  }
}

describe('what Python says, the console says', () => {
  it.each(vectors.map((row) => [row.language, row.kind, row.input, row.output] as const))(
    '%s %s %j',
    (language, kind, input, output) => {
      if (!isLanguage(language)) throw new Error(language);
      expect(said(language, kind, input)).toBe(output);
    },
  );
});

describe('a sentence', () => {
  const words = new Words('ru', ru);

  it('takes its parameters, and shows a key that nobody wrote', () => {
    expect(words.text('subject.unit', { name: 'uz-01' })).toBe('Устройство uz-01');
    expect(words.text('no.such.key')).toBe('no.such.key');
  });

  it('does not fill what a parameter brings in', () => {
    expect(words.text('subject.unit', { name: '{name}' })).toBe('Устройство {name}');
  });

  it('is counted in the form of its language', () => {
    expect(words.counted('answer.minutes', 21)).toBe(ru['answer.minutes_one'].replace('{n}', '21'));
    expect(words.counted('answer.minutes', 5)).toBe(ru['answer.minutes_many'].replace('{n}', '5'));
  });
});

describe('a stopwatch', () => {
  it.each([
    [-3, '00:00'],
    [41.9, '00:41'],
    [740, '12:20'],
    [3_740, '1:02:20'],
    [90_000, '25:00:00'],
  ])('%d', (seconds, text) => expect(stopwatch(seconds)).toBe(text));
});
