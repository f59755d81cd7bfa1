import { expect, test } from 'vitest';
import { answered } from './client';

const problem = (status: number, body: object): Response => new Response(JSON.stringify(body), { status });

test('a proxy whose centre is away is no refusal of the centre', async () => {
  for (const status of [502, 503, 504]) expect(await answered(new Response('<h1>Bad Gateway</h1>', { status }))).toEqual({ kind: 'unreachable' });
  expect(await answered(null)).toEqual({ kind: 'unreachable' });
});

test('what the centre refuses bears its code, whatever the number', async () => {
  expect(await answered(problem(503, { status: 503, code: 'busy', detail: 'try again' }))).toMatchObject({ kind: 'refused', code: 'busy' });
  expect(await answered(problem(409, { status: 409, code: 'changed_since', detail: '' }))).toMatchObject({ kind: 'refused', code: 'changed_since' });
  expect(await answered(problem(412, { alert: { id: 'a' } }))).toEqual({ kind: 'stale', value: { alert: { id: 'a' } } });
  expect(await answered(problem(401, {}))).toEqual({ kind: 'login' });
});
