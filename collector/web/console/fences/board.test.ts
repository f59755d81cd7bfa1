import { describe, expect, it } from 'vitest';
import { overtakings, readVersions } from './board';
import type { Page, Version } from './board';

const change = (kind: string, id: string, sha256: string | null = 'ab'): object => ({ kind, id, sha256 });
const version = (n: number, changed: object[]): object => ({ version: n, since: '2026-11-28T09:00:00Z', by: 'op-03', approved_by: 'sv-02', changed, thresholds: {} });
const { rows } = readVersions({
  rows: [version(4, [change('rule', 'yard')]), version(3, [change('zone', 'depot'), change('zone', 'yard')]), version(2, [change('route', 'a380', null)]), version(1, [change('zone', 'yard')])],
  more: null,
}) as Page<Version>;

describe('who was quicker', () => {
  it('is named by version and shape, since the version that was seen', () => {
    expect(overtakings(rows, 1, ['yard', 'mine']).map(({ version: { version: n, by }, changed }) => [n, by, changed.map(({ id }) => id)])).toEqual([[3, 'op-03', ['yard']]]);
  });

  it('may have withdrawn it', () => {
    expect(overtakings(rows, 1, ['a380']).flatMap(({ changed }) => changed)).toEqual([{ kind: 'route', id: 'a380', isGone: true, isNew: false }]);
  });

  it('is nobody where another shape, or a threshold of that name, was changed', () => {
    expect(overtakings(rows, 3, ['yard'])).toEqual([]);
    expect(overtakings(rows, 0, ['mine'])).toEqual([]);
  });
});
