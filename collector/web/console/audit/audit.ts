/** Who did what, who looked at what: the filter as it stands in the address, and the rows, decoded. Law: pure; a row that cannot be read is counted, never left out in silence. */
import { shown } from '../lib/alerts';
import { Refused, isFields, isList, numberOf, textOf } from '../lib/decode';
import type { Words } from '../lib/words';

export const KINDS = ['acts', 'reads', 'rolls'] as const;
export type Kind = (typeof KINDS)[number];

export interface Filter {
  readonly what: Kind;
  readonly by: string;
  readonly act: string;
  readonly obj: string;
  /** Days of the site, `2026-09-21`; the last one is within. '': open. */
  readonly from: string;
  readonly to: string;
}

export interface Row {
  readonly key: string;
  readonly atMs: number;
  readonly by: string;
  readonly role: string;
  readonly act: string;
  readonly obj: string;
  readonly scope: string;
  readonly detail: string;
  /** How often within the hour; null: it is told one by one. */
  readonly times: number | null;
}

export interface Page {
  readonly rows: readonly Row[];
  readonly more: string;
  readonly unread: number;
}

/** Acts that have a word, as the centre writes them down: what the filter offers. One of a newer centre is shown as it is. */
export const ACTS: readonly string[] = [
  'login', 'login_refused', 'enter', 'setup', 'widen', 'password', 'step_up', 'step_up_refused', 'logout', 'refused',
  'user-add', 'user-change', 'user-lock', 'user-unlock', 'user-setup-link', 'desk', 'session-end', 'kiosk', 'kiosk-give', 'machine-give',
  'unit-scope', 'enrol-token', 'enrol-approve', 'enrol-refuse', 'revoke-ask', 'revoke',
  'rules-import', 'shapes-propose', 'shapes-approve', 'shapes-refuse', 'POST /api/v1/fences/dry-run',
  'POST /api/v1/handover', 'POST /api/v1/handover/{number}/confirm', 'track', 'evidence', 'export',
];

/** The last part of an act's key: what the guard wrote down by itself bears the route that was called. */
export function actKey(act: string): string {
  const [, path] = /^POST \/api\/v1\/(.+)$/.exec(act) ?? [];
  return path === undefined ? act : `post-${path.replace(/[^a-z]+/g, '-').replace(/-$/, '')}`;
}

/** What was written down beside an act, its moments as the reader has them. */
export function detailOf(words: Words, text: string): string {
  return shown(text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, (at) => words.moment(Date.parse(at))));
}

const DAY_MS = 86_400_000;

export function filterOf(get: (name: string) => string): Filter {
  return {
    what: KINDS.find((one) => one === get('what')) ?? 'acts',
    by: get('by'),
    act: get('act'),
    obj: get('obj'),
    from: get('from'),
    to: get('to'),
  };
}

/** The question to the centre; null: a day that is none, or an end before the beginning. */
export function queryOf(filter: Filter, offsetMin: (atMs: number) => number): string | null {
  const begin = filter.from === '' ? null : dayMs(filter.from, offsetMin);
  const last = filter.to === '' ? null : dayMs(filter.to, offsetMin);
  if ((filter.from !== '' && begin === null) || (filter.to !== '' && last === null)) return null;
  if (begin !== null && last !== null && last < begin) return null;
  const query = new URLSearchParams({ what: filter.what });
  if (filter.by !== '') query.set('by', filter.by);
  if (filter.act !== '' && filter.what !== 'rolls') query.set('act', filter.act);
  if (filter.obj !== '') query.set('obj', filter.obj);
  if (begin !== null) query.set('from', String(begin));
  if (last !== null) query.set('to', String(last + DAY_MS));
  return query.toString();
}

/** When a day of the site begins. */
export function dayMs(day: string, offsetMin: (atMs: number) => number): number | null {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day)) return null;
  const ms = Date.parse(`${day}T00:00:00Z`);
  return Number.isNaN(ms) ? null : ms - offsetMin(ms) * 60_000;
}

export function readPage(value: unknown): Page | Refused {
  if (!isFields(value) || !isList(value['rows'])) return new Refused('no_rows');
  const rows = value['rows'].map(rowOf);
  const read = rows.filter((row): row is Row => row !== null);
  return { rows: read, more: textOf(value['more']) ?? '', unread: rows.length - read.length };
}

function rowOf(value: unknown): Row | null {
  if (!isFields(value)) return null;
  const atMs = Date.parse(textOf(value['at']) ?? '');
  const number = numberOf(value['number']);
  const [by, obj] = [textOf(value['by']), textOf(value['obj'])];
  if (Number.isNaN(atMs) || number === null || by === null || obj === null) return null;
  return {
    key: `${number} ${atMs} ${by} ${obj}`,
    atMs,
    by,
    role: textOf(value['role']) ?? '',
    act: textOf(value['act']) ?? '',
    obj,
    scope: textOf(value['scope']) ?? '',
    detail: textOf(value['detail']) ?? '',
    times: numberOf(value['times']),
  };
}

/** The screen that shows the object; null: none does. */
export function pathOf(obj: string): string | null {
  const [, batch] = /^evidence\/([a-z0-9-]{3,32}\.[0-9a-f]{32}\.\d{1,10})(?:\/envelope)?$/.exec(obj) ?? [];
  return batch === undefined ? null : `/evidence/${batch}`;
}
