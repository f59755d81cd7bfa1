/**
 * Which tone sounds now (CONSOLE section 3, sound).
 * Law: pure; asked once a second. A tone that is due is said once and its time noted by the caller's `Told`.
 */

export type Tone = 'critical' | 'high' | 'medium' | 'link';

const EVERY_S: Readonly<Record<Tone, number>> = {
  critical: 10, // until acknowledged
  high: 60,
  medium: Number.POSITIVE_INFINITY, // once an alert
  link: 10,
};

export interface Sounding {
  readonly nowMs: number;
  /** Unacknowledged alerts that may sound, by id and priority; a worse priority sounds anew. */
  readonly alerts: readonly { readonly id: string; readonly prio: number }[];
  readonly isLinkLost: boolean;
  readonly isFlood: boolean;
  readonly mutedUntilMs: number;
}

/** What has sounded, and when. */
export interface Told {
  readonly atMs: Readonly<Partial<Record<Tone, number>>>;
  readonly heard: ReadonlyMap<string, number>;
}

export const NOTHING_TOLD: Told = { atMs: {}, heard: new Map() };

const TONE_OF: readonly (Tone | null)[] = [null, 'critical', 'high', 'medium', null];
const ORDER: readonly Tone[] = ['link', 'critical', 'high', 'medium'];

/** The tone that is due, or null, and what is then told. One tone at a time: the worst. */
export function due(told: Told, now: Sounding): { tone: Tone | null; told: Told } {
  const fresh = new Set<Tone>();
  const there = new Set<Tone>();
  const heard = new Map<string, number>();
  for (const { id, prio } of now.alerts) {
    const tone = TONE_OF[prio] ?? null;
    heard.set(id, prio);
    if (tone === null || !mayHear(tone, now)) continue;
    there.add(tone);
    const before = told.heard.get(id);
    if (before === undefined || prio < before) fresh.add(tone);
  }
  if (now.isLinkLost) there.add('link');
  for (const tone of ORDER) {
    if (!there.has(tone)) continue;
    const last = told.atMs[tone];
    const isDue = fresh.has(tone) || (tone !== 'medium' && (last === undefined || now.nowMs - last >= EVERY_S[tone] * 1_000));
    if (isDue) return { tone, told: { atMs: { ...told.atMs, [tone]: now.nowMs }, heard: kept(told, heard, fresh, tone) } };
  }
  return { tone: null, told: { atMs: told.atMs, heard: kept(told, heard, fresh, null) } };
}

function mayHear(tone: Tone, now: Sounding): boolean {
  if (tone === 'critical') return true; // neither muted nor drowned in a flood
  return now.nowMs >= now.mutedUntilMs && !(now.isFlood && tone === 'medium');
}

/** A new alert whose tone gave way to a worse one sounds at the next look. */
function kept(told: Told, heard: Map<string, number>, fresh: ReadonlySet<Tone>, said: Tone | null): Map<string, number> {
  for (const [id, prio] of heard) {
    const tone = TONE_OF[prio] ?? null;
    if (tone === null || tone === said || !fresh.has(tone)) continue;
    const before = told.heard.get(id);
    if (before === undefined) heard.delete(id);
    else heard.set(id, before);
  }
  return heard;
}
