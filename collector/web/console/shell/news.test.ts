import { describe, expect, it } from 'vitest';
import en from '../../locales/en.json';
import { readAlert } from '../lib/alerts';
import type { Alert } from '../lib/alerts';
import { Words } from '../lib/words';
import { newsOf } from './news';

const words = new Words('en', en);
const alert = (id: string, more: object = {}) => readAlert({ id, rev: 1, no: 7, plate: '01A', code: 'UNSCHEDULED_STOP', prio: 3, stage: 'UNACKED', since: 1, ...more }) as Alert;

describe('a new alert', () => {
  it('is said by its plate and name, a critical one by itself', () => {
    const news = newsOf(words, new Set(), [alert('a'), alert('b', { prio: 1, code: 'SEAL_OPEN_UNAUTHORISED', plate: '10B' })]);
    expect(news).toEqual({ urgent: '10B: Seal opened without order', calm: '01A: Stop that nobody planned' });
  });

  it('is no news twice, nor when it is seen, rests, or lies under another', () => {
    const rows = [alert('a'), alert('b', { stage: 'ACKED' }), alert('c', { stage: 'SHELVED' }), alert('d', { under: 'a' })];
    expect(newsOf(words, new Set(['a']), rows)).toEqual({ urgent: '', calm: '' });
  });

  it('among many is only counted', () => {
    expect(newsOf(words, new Set(), ['a', 'b', 'c', 'd'].map((id) => alert(id))).calm).toBe('4 new alerts');
  });
});
