import { describe, expect, it } from 'vitest';
import { Refused } from '../lib/decode';
import en from '../../locales/en.json';
import ru from '../../locales/ru.json';
import uz from '../../locales/uz.json';
import { Words } from '../lib/words';
import { ACTS, actKey, dayMs, detailOf, filterOf, pathOf, queryOf, readPage } from './audit';

const TASHKENT = (): number => 300;
const ROW = { number: 7, at: '2026-09-21T14:02:00.000Z', by: 'anna', role: 'operator', act: 'desk', obj: 'desk/a1', scope: '', detail: '', times: null };

function asked(address: string): string | null {
  const query = new URLSearchParams(address);
  return queryOf(filterOf((name) => query.get(name) ?? ''), TASHKENT);
}

describe('the filter', () => {
  it.each([
    ['', 'what=acts'],
    ['what=nonsense', 'what=acts'],
    ['what=reads&by=anna&obj=unit/', 'what=reads&by=anna&obj=unit%2F'],
    ['what=rolls&act=desk', 'what=rolls'],
    ['from=2026-09-21&to=2026-09-21', 'what=acts&from=1789930800000&to=1790017200000'],
  ])('%s is asked as it stands in the address', (address, query) => {
    expect(asked(address)).toBe(query);
  });

  it.each(['from=yesterday', 'to=2026-13-01', 'from=2026-09-22&to=2026-09-21'])('%s is not asked', (address) => {
    expect(asked(address)).toBeNull();
  });

  it('knows that a day of the site begins before that of UTC', () => {
    expect(dayMs('2026-09-21', TASHKENT)).toBe(Date.parse('2026-09-20T19:00:00Z'));
  });
});

describe('a page', () => {
  it('is read, and what of it cannot be read is counted', () => {
    const page = readPage({ rows: [ROW, { ...ROW, at: 'noon' }, 7], more: '6' });
    expect(page).toMatchObject({ more: '6', unread: 2 });
    expect(page instanceof Refused ? [] : page.rows.map(({ by }) => by)).toEqual(['anna']);
  });

  it('that is none is refused', () => {
    expect(readPage({ more: null })).toEqual(new Refused('no_rows'));
  });
});

describe('an act', () => {
  it.each(ACTS)('%s has a word in every language', (act) => {
    for (const catalogue of [en, ru, uz]) expect(catalogue).toHaveProperty([`audit.act.${actKey(act)}`]);
  });
});

it('a moment in the detail of an act is told as the reader has it', () => {
  const words = new Words('en', en, TASHKENT);
  expect(detailOf(words, 'operator, until 2026-12-28T11:08:49.431Z')).toBe('operator, until 28 Dec 2026, 16:08');
  expect(detailOf(words, 'a\u202eb 2026-12-28')).toBe('a\ufffdb 2026-12-28');
});

describe('an object', () => {
  it.each([
    [`evidence/uz-01.${'a'.repeat(32)}.7`, `/evidence/uz-01.${'a'.repeat(32)}.7`],
    [`evidence/uz-01.${'a'.repeat(32)}.7/envelope`, `/evidence/uz-01.${'a'.repeat(32)}.7`],
    ['evidence/../admin', null],
    ['unit/uz-01', null],
  ])('%s leads to its screen if there is one', (obj, path) => {
    expect(pathOf(obj)).toBe(path);
  });
});
