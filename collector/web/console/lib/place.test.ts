import { describe, expect, it } from 'vitest';
import en from '../../locales/en.json';
import ru from '../../locales/ru.json';
import uz from '../../locales/uz.json';
import { DIRECTIONS, placeOf, placeWords, readPlace } from './place';
import type { Town } from './place';
import { Words } from './words';

const JIZZAX: Town = {
  id: 1, lon: 67.8422, lat: 40.1158, people: 163_200,
  names: { en: 'Jizzakh', ru: 'Джизак', uz: 'Jizzax' },
};
const GUZOR: Town = { ...JIZZAX, id: 2, lon: 66.25, lat: 38.62, names: { en: 'Guzar', ru: 'Гузар', uz: 'Gʻuzor' } };

describe('a place', () => {
  it('is told from the nearest town', () => {
    expect(placeOf([GUZOR, JIZZAX], 67.8422, 40.2237)).toEqual({ km: 12, dir: 'N', of: 1 });
    expect(placeOf([GUZOR, JIZZAX], 66.3, 38.62)).toMatchObject({ km: 4, dir: 'E', of: 2 });
  });

  it('far from everything is none', () => {
    expect(placeOf([JIZZAX], 0, 0)).toBeNull();
    expect(placeOf([], 67, 40)).toBeNull();
  });

  it.each(DIRECTIONS.map((dir, i) => [dir, i] as const))('%s lies %d eighths of a turn from north', (dir, eighth) => {
    const turn = (eighth * Math.PI) / 4;
    const narrow = Math.cos((JIZZAX.lat * Math.PI) / 180);
    const lon = JIZZAX.lon + (0.2 * Math.sin(turn)) / narrow;
    expect(placeOf([JIZZAX], lon, JIZZAX.lat + 0.2 * Math.cos(turn))?.dir).toBe(dir);
  });

  it('is worded in each language', () => {
    const place = { km: 12, dir: 'N', of: 1 } as const;
    expect(placeWords(new Words('en', en), [JIZZAX], place)).toBe('12\u00a0km N of Jizzakh');
    expect(placeWords(new Words('ru', ru), [JIZZAX], place)).toBe('Джизак, 12\u00a0км С');
    expect(placeWords(new Words('uz', uz), [JIZZAX], place)).toBe('Jizzaxdan 12\u00a0km shimolda');
    expect(placeWords(new Words('en', en), [JIZZAX], { ...place, km: 1 })).toBe('near Jizzakh');
    expect(placeWords(new Words('en', en), [JIZZAX], { ...place, of: 7 })).toBe('');
  });

  it('that is no place is none', () => {
    expect(readPlace({ km: 1, dir: 'NNE', of: 1 })).toBeNull();
    expect(readPlace('Jizzax')).toBeNull();
  });
});
