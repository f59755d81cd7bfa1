import { describe, expect, it } from 'vitest';
import { Refused } from '../lib/decode';
import { fingerprintOf, listOf, modulesOf, requestOf, thresholdsOf, toldOf, unitOf, userOf, versionOf } from './records';

describe('a list of the centre', () => {
  it('is read row by row', () => {
    const users = listOf({ users: [{ user: 'anna', role: 'operator', set_up: true, setup_until: null, locked_at: null }, { user: 7 }] }, 'users', userOf);
    expect(users).toEqual([{ user: 'anna', role: 'operator', name: '', scope: '', desk: '', isSetUp: true, linkUntilMs: null, lockedMs: null }]);
  });

  it.each([null, {}, { users: 'all' }])('that is none is refused: %s', (value) => {
    expect(listOf(value, 'users', userOf)).toEqual(new Refused('no_users'));
  });

  it('of units and requests keeps fingerprints as they are said', () => {
    expect(unitOf({ unit: 'uz-01', number: 1, keys_in_force: ['8afd 56b2 3dac ddb4'] })?.keys).toEqual(['8afd 56b2 3dac ddb4']);
    expect(requestOf({ unit: 'uz-01', fingerprint: '8afd 56b2 3dac ddb4', decided_by: null })?.decidedBy).toBe('');
  });

  it('of versions says what is another and what is gone', () => {
    const version = versionOf({ version: 3, since: '2026-09-21T14:02:00Z', changed: [{ kind: 'zone', id: 'depot', sha256: null }], thresholds: { stop_s_max: 600, profile: { eaeu: true } } });
    expect(version?.changed).toEqual([{ kind: 'zone', id: 'depot', isGone: true }]);
    expect(version?.thresholds).toEqual([
      ['profile.eaeu', true],
      ['stop_s_max', 600],
    ]);
  });

  it('of thresholds keeps what a value is', () => {
    expect(thresholdsOf({ seals: ['a', 'b'], built_ms: 0 })).toEqual([['built_ms', 0], ['seals', ['a', 'b']]]);
  });
});

describe('a secret', () => {
  it('is told with its code', () => {
    expect(toldOf({ token: 'ABC', until: '2026-09-21T14:02:00Z', qr: ['101', '0x0'] }, 'token')).toMatchObject({ secret: 'ABC', qr: ['101'] });
    expect(toldOf({ token: 'ABC' }, 'path')).toBeNull();
  });

  it('is drawn as runs of dark squares', () => {
    expect(modulesOf(['1101', '0010'])).toBe('M0 0h2v1h-2zM3 0h1v1h-1zM2 1h1v1h-1z');
  });
});

describe('a fingerprint', () => {
  it.each([
    ['8afd 56b2 3dac ddb4', '8afd 56b2 3dac ddb4'],
    ['8AFD56B23DACDDB4', '8afd 56b2 3dac ddb4'],
    ['8afd:56b2:3dac:ddb4', '8afd 56b2 3dac ddb4'],
    ['8afd 56b2 3dac ddb', null],
    ['8afd 56b2 3dac ddbg', null],
  ])('typed as %s is %s', (typed, read) => {
    expect(fingerprintOf(typed)).toBe(read);
  });
});
