/** What a dry run said, line by line (CONSOLE section 2). Law: what was not tried to its end is said as partial, never as nothing. */
import { isFields, isList, numberOf, textOf } from '../lib/decode';
import type { Fields } from '../lib/decode';

export interface Progress {
  readonly percent: number;
  readonly units: number;
  readonly ofUnits: number;
  readonly batches: number;
  readonly positions: number;
}

export interface Alarm {
  readonly code: string;
  readonly prio: number;
  readonly unit: string;
  readonly atMs: number;
  readonly lon: number | null;
  readonly lat: number | null;
  readonly of: string;
  readonly mark: Mark;
}

/** Only by the draft, by both, only by today's rules. */
export type Mark = 'new' | 'both' | 'gone';

export interface Outcome extends Progress {
  readonly isPartial: boolean;
  readonly days: number;
  readonly alarms: number;
  readonly onUnits: number;
  readonly alsoToday: number;
  readonly gone: number;
  readonly budgetPercent: number;
  readonly byCode: readonly { readonly code: string; readonly alarms: number; readonly alsoToday: number; readonly gone: number }[];
  readonly rows: readonly Alarm[];
  readonly more: number;
}

export type Line =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'result'; readonly outcome: Outcome }
  | { readonly kind: 'fault'; readonly why: string };

/** A line of the stream; null for what is none. */
export function readLine(value: unknown): Line | null {
  if (!isFields(value)) return null;
  const fault = textOf(value['fault']);
  if (fault !== null) return { kind: 'fault', why: fault };
  if (isFields(value['progress'])) return { kind: 'progress', progress: progressOf(value['progress']) };
  const said = value['result'];
  if (!isFields(said)) return null;
  const whole = (name: string): number => numberOf(said[name]) ?? 0;
  return {
    kind: 'result',
    outcome: {
      ...progressOf(said),
      isPartial: said['partial'] !== false,
      days: whole('days'),
      alarms: whole('alarms'),
      onUnits: whole('on_units'),
      alsoToday: whole('also_today'),
      gone: whole('gone'),
      budgetPercent: whole('budget_percent'),
      byCode: listOf(said['by_code']).map((one) => ({
        code: textOf(one['code']) ?? '',
        alarms: numberOf(one['alarms']) ?? 0,
        alsoToday: numberOf(one['also_today']) ?? 0,
        gone: numberOf(one['gone']) ?? 0,
      })),
      rows: listOf(said['rows']).map(alarmOf),
      more: whole('more'),
    },
  };
}

function progressOf(said: Fields): Progress {
  const whole = (name: string): number => numberOf(said[name]) ?? 0;
  return { percent: whole('percent'), units: whole('units'), ofUnits: whole('of_units'), batches: whole('batches'), positions: whole('positions') };
}

function alarmOf(said: Fields): Alarm {
  return {
    code: textOf(said['code']) ?? '',
    prio: numberOf(said['prio']) ?? 4,
    unit: textOf(said['unit']) ?? '',
    atMs: numberOf(said['at']) ?? 0,
    lon: numberOf(said['lon']),
    lat: numberOf(said['lat']),
    of: textOf(said['zone']) ?? textOf(said['route']) ?? '',
    mark: said['by_draft'] !== true ? 'gone' : said['today'] === true ? 'both' : 'new',
  };
}

function listOf(value: unknown): readonly Fields[] {
  return isList(value) ? value.filter(isFields) : [];
}
