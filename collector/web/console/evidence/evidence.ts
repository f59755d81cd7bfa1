/** What the centre says stands behind a batch, decoded. Law: what it does not know is null, never a guess. */
import { Refused, isFields, isList, numberOf, textOf } from '../lib/decode';
import type { Claim } from '../lib/proof';

export const STATES = ['PROVEN', 'PENDING', 'UNLOGGED', 'BROKEN'] as const;
export type State = (typeof STATES)[number];

export interface Neighbour {
  readonly batch: string;
  readonly head: string;
  readonly isLinked: boolean;
}

export interface Evidence extends Claim {
  readonly batch: string;
  readonly unitNo: number;
  readonly state: State;
  /** The checks that failed when the centre made them just now. */
  readonly broken: readonly string[];
  readonly kid: string;
  readonly bytes: number;
  readonly sealedMs: number | null;
  readonly receivedMs: number | null;
  readonly earlyMs: number | null;
  readonly refused: string;
  readonly before: Neighbour | null;
  readonly after: Neighbour | null;
}

export function readEvidence(value: unknown): Evidence | Refused {
  if (!isFields(value)) return new Refused('no_object');
  const [batch, unit, chain] = [textOf(value['batch']), textOf(value['unit']), textOf(value['chain'])];
  const [number, unitNo] = [numberOf(value['number']), numberOf(value['unit_no'])];
  const state = STATES.find((one) => one === value['state']);
  if (batch === null || unit === null || chain === null || number === null || unitNo === null) return new Refused('no_batch');
  if (state === undefined) return new Refused('no_state'); // a word that we do not know is no PROVEN
  return {
    batch,
    unit,
    unitNo,
    chain,
    number,
    state,
    broken: (isList(value['broken']) ? value['broken'] : []).map(String),
    env: textOf(value['env']) ?? '',
    head: textOf(value['head']) ?? '',
    kid: textOf(value['kid']) ?? '',
    key: textOf(value['key']) ?? '',
    bytes: numberOf(value['bytes']) ?? 0,
    firstSeq: numberOf(value['first_seq']) ?? 0,
    count: numberOf(value['count']) ?? 0,
    sealedMs: msOf(value['sealed']),
    receivedMs: msOf(value['received']),
    earlyMs: msOf(value['early']),
    refused: textOf(value['refused']) ?? '',
    before: neighbourOf(value['before']),
    after: neighbourOf(value['after']),
  };
}

/** A part of a path as it was meant; one that is none stays as it came, and is then no batch. */
export function unescaped(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function msOf(value: unknown): number | null {
  const ms = Date.parse(textOf(value) ?? '');
  return Number.isNaN(ms) || ms <= 0 ? null : ms; // a unit without a clock seals at 0
}

function neighbourOf(value: unknown): Neighbour | null {
  if (!isFields(value)) return null;
  const batch = textOf(value['batch']);
  return batch === null ? null : { batch, head: textOf(value['head']) ?? '', isLinked: value['linked'] === true };
}
