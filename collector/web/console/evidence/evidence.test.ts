import { describe, expect, it } from 'vitest';
import { Refused } from '../lib/decode';
import { readEvidence, unescaped } from './evidence';

const SAID = {
  batch: 'uz-01.47e2c110fa1b5d265c747f2e42f5b66a.1',
  unit: 'uz-01',
  unit_no: 7,
  chain: '47e2c110fa1b5d265c747f2e42f5b66a',
  number: 1,
  state: 'UNLOGGED',
  broken: [],
  env: 'aa',
  head: 'bb',
  kid: 'cc',
  key: null,
  bytes: 286,
  first_seq: 2,
  count: 4,
  sealed: '1970-01-01T00:00:00.000Z',
  received: '2026-09-21T14:02:00.000Z',
  early: null,
  refused: null,
  before: { batch: 'uz-01.47e2c110fa1b5d265c747f2e42f5b66a.0', head: 'dd', linked: true },
  after: null,
};

it('a part of a path that cannot be read is no end of the screen', () => {
  expect(unescaped('uz-01.ab%2E7')).toBe('uz-01.ab.7');
  expect(unescaped('%E0%A4%A')).toBe('%E0%A4%A');
});

describe('the word of the centre', () => {
  it('is read with what it leaves open', () => {
    const found = readEvidence(SAID);
    expect(found).toMatchObject({ unitNo: 7, key: '', sealedMs: null, earlyMs: null, after: null, before: { isLinked: true } });
  });

  it.each([
    ['nothing', null],
    ['another state', { ...SAID, state: 'VERY_PROVEN' }],
    ['no state', { ...SAID, state: undefined }],
    ['no unit', { ...SAID, unit: 7 }],
    ['no number', { ...SAID, number: '1' }],
  ])('with %s is refused', (_what, value) => {
    expect(readEvidence(value)).toBeInstanceOf(Refused);
  });

  it('that does not say whether it is linked is no link', () => {
    const found = readEvidence({ ...SAID, before: { batch: 'x', head: 'y' } });
    expect(found instanceof Refused ? null : found.before?.isLinked).toBe(false);
  });
});
