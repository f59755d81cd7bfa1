/**
 * Questions and acts over HTTP. Law: every answer is a value; who asks never sees an exception.
 * A change bears `X-Plomba`, an idempotency key, and the revision that the person saw.
 */
import { isFields, numberOf, parsed, textOf } from '../lib/decode';

export const API = '/api/v1';
const WAIT_MS = 10_000; // a person has given up by then

export type Answer =
  | { readonly kind: 'ok'; readonly value: unknown }
  /** 412: it changed meanwhile; `value` is the row as it is. */
  | { readonly kind: 'stale'; readonly value: unknown }
  | { readonly kind: 'refused'; readonly status: number; readonly code: string; readonly detail: string; readonly value: unknown }
  | { readonly kind: 'login' }
  | { readonly kind: 'unreachable' };

export interface Change {
  readonly rev?: number;
  /** The same key for the same wish, so that a repeated press is one act. */
  readonly key?: string;
}

export async function get(path: string): Promise<Answer> {
  return answered(await sent(API + path, { headers: { Accept: 'application/json' } }));
}

/** Bytes of a live column answer, or what went wrong. */
export async function bytes(path: string, media = '*/*', waitMs = WAIT_MS): Promise<ArrayBuffer | Answer> {
  const response = await sent(API + path, { headers: { Accept: media } }, waitMs);
  if (response === null || !response.ok) return answered(response);
  try {
    return await response.arrayBuffer();
  } catch {
    return { kind: 'unreachable' };
  }
}

export async function post(path: string, body: unknown, change: Change = {}): Promise<Answer> {
  const headers: Record<string, string> = {
    Accept: 'application/json',
    'Content-Type': 'application/json',
    'X-Plomba': '1',
    'Idempotency-Key': change.key ?? crypto.randomUUID(),
  };
  if (change.rev !== undefined) headers['If-Match'] = `"${change.rev}"`;
  return answered(await sent(API + path, { method: 'POST', headers, body: JSON.stringify(body) }));
}

/** An answer that comes line by line, each line an object; null when it ended, else what went wrong. Nothing is waited for but `signal`. */
export async function lines(path: string, body: unknown, told: (line: unknown) => void, signal: AbortSignal): Promise<Answer | null> {
  const headers = { Accept: 'application/x-ndjson', 'Content-Type': 'application/json', 'X-Plomba': '1' };
  try {
    const response = await fetch(API + path, { method: 'POST', headers, body: JSON.stringify(body), cache: 'no-store', signal });
    if (!response.ok || response.body === null) return await answered(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const found = (rest + piece.value).split('\n');
      rest = found.pop() ?? '';
      for (const line of found) told(parsed(line));
    }
    if (rest !== '') told(parsed(rest));
    return null;
  } catch {
    return { kind: 'unreachable' };
  }
}

/** Hand in the secret of a one-time link. */
export async function enter(secret: string): Promise<Answer> {
  const headers = { Authorization: `Bearer ${secret}`, 'X-Plomba': '1' };
  return answered(await sent(`${API}/enter`, { method: 'POST', headers }));
}

/** Whether the centre answers at all. */
export async function isAlive(): Promise<boolean> {
  return (await sent('/healthz', {}))?.ok ?? false;
}

async function sent(url: string, init: RequestInit, waitMs = WAIT_MS): Promise<Response | null> {
  try {
    return await fetch(url, { ...init, cache: 'no-store', signal: AbortSignal.timeout(waitMs) });
  } catch {
    return null;
  }
}

/** What an answer of HTTP means; null: none came. */
export async function answered(response: Response | null): Promise<Answer> {
  if (response === null) return { kind: 'unreachable' };
  if (response.status === 401) return { kind: 'login' };
  const value = parsed(await response.text().catch(() => ''));
  if (response.ok) return { kind: 'ok', value };
  if (response.status === 412) return { kind: 'stale', value };
  const problem = isFields(value) ? value : {};
  // What stands before the centre says that it is not there, with a page of its own.
  if ([502, 503, 504].includes(response.status) && textOf(problem['code']) === null) return { kind: 'unreachable' };
  return {
    kind: 'refused',
    status: numberOf(problem['status']) ?? response.status,
    code: textOf(problem['code']) ?? `http_${response.status}`,
    detail: textOf(problem['detail']) ?? '',
    value,
  };
}
