/** The sheet of a unit, decoded. Law: what the centre does not know is null, never a guess. */
import { Refused, isFields, isList, momentOf, numberOf, textOf } from '../lib/decode';
import type { Fields } from '../lib/decode';
import type { Entry } from '../lib/timeline';

export const LIVES = ['sealed', 'open_bad', 'open_by_order', 'reclosed', 'unknown'] as const;
export const PROOFS = ['PENDING', 'UNLOGGED', 'BROKEN'] as const;

export interface Seal {
  readonly seal: string;
  readonly isDeclared: boolean;
  readonly life: (typeof LIVES)[number];
  readonly isLocked: boolean | null;
  readonly isCut: boolean | null;
  readonly batteryPercent: number | null;
  readonly reportedMs: number | null;
  readonly openedMs: number | null;
}

export interface Held {
  readonly atMs: number;
  readonly code: string;
  readonly seal: string;
  readonly by: string;
  readonly proof: (typeof PROOFS)[number] | null;
  readonly chain: string;
  readonly batch: number | null;
}

export interface Sheet {
  readonly no: number;
  readonly unit: string;
  readonly plate: string;
  readonly trailer: string;
  readonly containers: readonly string[];
  readonly journey: string;
  readonly route: string;
  readonly limitMs: number | null;
  readonly heardMs: number | null;
  readonly fixMs: number | null;
  readonly lacks: number;
  readonly stoppedMs: number | null;
  readonly forkedMs: number | null;
  readonly seals: readonly Seal[];
  readonly tags: { readonly expected: number; readonly aboard: number | null } | null;
  readonly custody: readonly Held[];
}

export function readSheet(value: unknown): Sheet | Refused {
  if (!isFields(value)) return new Refused('no_object');
  const unit = textOf(value['unit']);
  const no = numberOf(value['number']);
  if (unit === null || no === null) return new Refused('no_sheet');
  const tags = value['tags'];
  const expected = isFields(tags) ? numberOf(tags['expected']) : null;
  return {
    no,
    unit,
    plate: textOf(value['plate']) ?? '',
    trailer: textOf(value['trailer']) ?? '',
    containers: [...new Set(listOf(value['containers']).map(String))],
    journey: textOf(value['journey']) ?? '',
    route: textOf(value['route']) ?? '',
    limitMs: momentOf(value['limit_at']),
    heardMs: momentOf(value['heard_at']),
    fixMs: momentOf(value['fix_at']),
    lacks: numberOf(value['lacks']) ?? 0,
    stoppedMs: momentOf(value['stopped_at']),
    forkedMs: momentOf(value['forked_at']),
    seals: listOf(value['seals']).filter(isFields).map(sealOf),
    tags: expected === null || !isFields(tags) ? null : { expected, aboard: numberOf(tags['aboard']) },
    custody: listOf(value['custody']).filter(isFields).flatMap(heldOf),
  };
}

function listOf(value: unknown): readonly unknown[] {
  return isList(value) ? value : [];
}

function sealOf(row: Fields): Seal {
  const truth = (name: string): boolean | null => (typeof row[name] === 'boolean' ? row[name] : null);
  return {
    seal: textOf(row['seal']) ?? '',
    isDeclared: row['declared'] === true,
    life: LIVES.find((one) => one === row['life']) ?? 'unknown',
    isLocked: truth('locked'),
    isCut: truth('rope_cut'),
    batteryPercent: numberOf(row['battery_percent']),
    reportedMs: momentOf(row['reported_at']),
    openedMs: momentOf(row['opened_at']),
  };
}

function heldOf(row: Fields): Held[] {
  const atMs = momentOf(row['at']);
  if (atMs === null) return [];
  return [
    {
      atMs,
      code: textOf(row['code']) ?? '',
      seal: textOf(row['seal']) ?? '',
      by: textOf(row['by']) ?? '',
      proof: PROOFS.find((one) => one === row['proof']) ?? null,
      chain: textOf(row['chain']) ?? '',
      batch: numberOf(row['batch']),
    },
  ];
}

/** The custody row of an entry of the timeline: the same thing, of the same seal, at the same second; undefined where the centre says nothing of its proof. */
export function heldBy(custody: readonly Held[], entry: Entry): Held | undefined {
  if (entry.kind !== 'alert' && entry.kind !== 'event') return undefined;
  const { code, p } = entry.alert;
  return custody.find((one) => one.proof !== null && one.code === code && one.seal === (textOf(p['seal']) ?? '') && secondOf(one.atMs) === secondOf(entry.atMs));
}

function secondOf(ms: number): number {
  return Math.floor(ms / 1_000);
}
