import { expect, test } from 'vitest';
import { PAGES_MAX, listed } from './listed';

/** A centre with so many rows, 200 a page. */
function centre(n: number, counts: unknown, each: object = {}) {
  return async (path: string): Promise<unknown> => {
    const after = Number(new URLSearchParams(path.split('?')[1]).get('after') || '0');
    const rows = Array.from({ length: Math.min(200, n - after) }, (_, i) => ({ id: after + i, ...each }));
    return { rows, counts, feed: 9 - after / 200, more: after + 200 < n ? String(after + 200) : null };
  };
}

test('a list that is whole leaves nothing out, and begins where its oldest page does', async () => {
  const found = await listed('active', centre(450, { alerts: { 1: [450, 0] } }));
  expect([found?.rows.length, found?.leftOut, found?.feed]).toEqual([450, 0, 7]);
});

test('a list that is too long says how many it leaves out, what is folded counted once', async () => {
  const most = PAGES_MAX * 200;
  expect((await listed('active', centre(most, { alerts: { 1: [most, 0] } })))?.leftOut).toBe(0);
  const found = await listed('active', centre(most + 300, { alerts: { 1: [most, 200], 2: [100, 0] }, shelved: 7 }));
  expect([found?.rows.length, found?.leftOut]).toEqual([most, 300]);
  const folded = await listed('active', centre(most + 300, { alerts: { 1: [2 * most, 300] } }, { more: 1 }));
  expect(folded?.leftOut).toBe(300);
  expect((await listed('shelved', centre(most + 1, { alerts: {}, shelved: most + 1 })))?.leftOut).toBe(1);
});

test('more than nothing is left out also while the counts are behind', async () => {
  expect((await listed('active', centre(PAGES_MAX * 200 + 1, null)))?.leftOut).toBe(1);
});

test('of a list of which a page is missing nothing is used', async () => {
  const whole = centre(450, null);
  expect(await listed('active', (path) => (path.endsWith('after=400') ? Promise.resolve(null) : whole(path)))).toBeNull();
});
