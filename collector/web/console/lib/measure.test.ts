import { describe, expect, it } from 'vitest';
import en from '../../locales/en.json';
import ru from '../../locales/ru.json';
import uz from '../../locales/uz.json';
import { settingOf } from './measure';
import { Words } from './words';

const english = new Words('en', en);

describe('a setting', () => {
  it.each([
    ['built_ms', 1_795_330_000_000, '22 Nov 2026, 06:46'],
    ['built_ms', 0, 'any time is taken'],
    ['stop_alert_s', 1_800, '30 min'],
    ['stop_alert_p2_s', 7_200, '2 h'],
    ['held_s_max', 90, '90 s'],
    ['stop_s_max', 129_600, '36 h'],
    ['dwell_s', 0, '0 s'],
    ['jump_m', 500, '500 m'],
    ['border_m', 20_000, '20 km'],
    ['post_m', 2_050, '2,050 m'],
    ['jump_speed_m_s', 55.6, '55.6 m/s'],
    ['speed_kmh', 90, '90 km/h'],
    ['battery_low_percent', 15, '15%'],
    ['chord_share', 0.02, '2%'],
    ['left_fixes', 3, '3'],
    ['profile.eaeu', true, 'yes'],
    ['possible_kinds', ['forbidden', 'transfer'], 'forbidden, transfer'],
    ['possible_kinds', [], '–'],
    ['name', 'a\u202eb', 'a\ufffdb'],
  ])('%s of %j is said as a person says it', (name, value, told) => {
    expect(settingOf(english, name, value).replaceAll('\u00a0', ' ')).toBe(told);
  });

  it('is said in the words and the zone of the reader', () => {
    expect(settingOf(new Words('ru', ru, () => 300), 'built_ms', 1_795_330_000_000)).toBe('22 ноя 2026, 11:46');
    expect(settingOf(new Words('uz', uz), 'chord_share', 0.025)).toBe('2,5%');
  });
});
