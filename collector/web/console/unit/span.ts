/** The time that is shown, in the address and in the fields. Law: pure; times of the fields are the site's. */

export const DAY_MS = 86_400_000;

/** `2026-11-28T09:00` in the site's zone, as a field takes it. */
export function localText(ms: number, offsetMin: number): string {
  return new Date(ms + offsetMin * 60_000).toISOString().slice(0, 16);
}

export function msOf(text: string, offsetMin: number): number | null {
  const ms = Date.parse(`${text}Z`);
  return Number.isNaN(ms) ? null : ms - offsetMin * 60_000;
}

/** Of the address: `from` and `to` in milliseconds; without them the last day. */
export function spanOf(from: string, to: string, nowMs: number): { beginMs: number; endMs: number } {
  const [begin, end] = [Number(from), Number(to)];
  if (from !== '' && to !== '' && Number.isSafeInteger(begin) && Number.isSafeInteger(end) && begin >= 0 && begin < end) return { beginMs: begin, endMs: end };
  return { beginMs: nowMs - DAY_MS, endMs: nowMs };
}
