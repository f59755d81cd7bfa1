/** Versions, proposals and shapes as the server tells them, decoded. Law: who and since when are told as they came; null is not known. */
import { shown } from '../lib/alerts';
import { Refused, isFields, isList, momentOf, numberOf, textOf } from '../lib/decode';
import type { Fields } from '../lib/decode';
import type { Words } from '../lib/words';
import { readShape } from './shape';
import type { Shape } from './shape';

export interface Fault {
  readonly feature: number | null;
  readonly id: string;
  readonly code: string;
  readonly where: string;
  readonly message: string;
}

export interface Change {
  readonly kind: string;
  readonly id: string;
  readonly isGone: boolean;
  readonly isNew: boolean;
}

export interface InForce {
  readonly version: number;
  readonly sinceMs: number | null;
  readonly by: string;
  readonly approvedBy: string;
  readonly obeyed: number | null;
  readonly shapes: readonly Shape[];
  /** Features that this console cannot edit. */
  readonly unread: number;
}

export interface Version {
  readonly version: number;
  readonly sinceMs: number | null;
  readonly by: string;
  readonly approvedBy: string;
  readonly changed: readonly Change[];
  readonly thresholds: Fields;
}

export interface Proposal {
  readonly id: number;
  readonly state: string;
  readonly by: string;
  readonly atMs: number | null;
  readonly reason: string;
  readonly base: number;
  readonly decidedBy: string;
  readonly decidedMs: number | null;
  readonly decidedReason: string;
  readonly version: number | null;
  readonly shapes: readonly Shape[];
  /** As it came, for a dry run of it. */
  readonly features: readonly unknown[];
  readonly withdraw: readonly string[];
  readonly thresholds: Fields | null;
}

export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly more: string;
}

export function readInForce(value: unknown): InForce | Refused {
  if (!isFields(value) || !isList(value['features'])) return new Refused('no_fences');
  const read = value['features'].map(readShape);
  const shapes = read.filter((one): one is Shape => !(one instanceof Refused));
  const obeyed = isFields(value['obeyed']) ? numberOf(value['obeyed']['version']) : null;
  return {
    version: numberOf(value['version']) ?? 0,
    sinceMs: momentOf(value['since']),
    by: textOf(value['by']) ?? '',
    approvedBy: textOf(value['approved_by']) ?? '',
    obeyed,
    shapes,
    unread: read.length - shapes.length,
  };
}

/** What a version did to a shape or a threshold, as a word of the catalogue. */
export function wordOf({ isGone, isNew }: Change): string {
  return isGone ? 'fence.change.gone' : isNew ? 'fence.change.new' : 'fence.change.anew';
}

export function readVersions(value: unknown): Page<Version> | Refused {
  return pageOf(value, (row) => ({
    version: numberOf(row['version']) ?? 0,
    sinceMs: momentOf(row['since']),
    by: textOf(row['by']) ?? '',
    approvedBy: textOf(row['approved_by']) ?? '',
    changed: rowsOf(row['changed']).map((one) => ({ kind: textOf(one['kind']) ?? '', id: textOf(one['id']) ?? '', isGone: one['sha256'] === null, isNew: one['is_new'] === true })),
    thresholds: isFields(row['thresholds']) ? row['thresholds'] : {},
  }));
}

export function readProposals(value: unknown): Page<Proposal> | Refused {
  return pageOf(value, proposalOf);
}

export function readFaults(value: unknown, name = 'faults'): readonly Fault[] {
  return isFields(value)
    ? rowsOf(value[name]).map((one) => ({
        feature: numberOf(one['feature']),
        id: textOf(one['id']) ?? '',
        code: textOf(one['code']) ?? '',
        where: textOf(one['where']) ?? '',
        message: textOf(one['message']) ?? '',
      }))
    : [];
}

/** The newest version among `versions` that changed a shape; null where that lies further back than was asked for. */
export function lastChange(versions: readonly Version[], id: string): Version | null {
  return versions.find(({ changed }) => changed.some((one) => one.id === id)) ?? null;
}

/** A version after `base` that changed what is drafted, and what of it. */
export interface Overtaking {
  readonly version: Version;
  readonly changed: readonly Change[];
}

/** Who has changed one of `ids` since the version `base`, the newest first; as far back as `versions` go. */
export function overtakings(versions: readonly Version[], base: number, ids: readonly string[]): readonly Overtaking[] {
  const names = new Set(ids);
  return versions
    .filter(({ version }) => version > base)
    .map((version) => ({ version, changed: version.changed.filter(({ kind, id }) => kind !== 'rule' && names.has(id)) }))
    .filter(({ changed }) => changed.length > 0);
}

/** Who made a version so. */
export function whoOf(words: Words, { by, approvedBy }: { readonly by: string; readonly approvedBy: string }): string {
  if (approvedBy) return words.text('fence.by-two', { by: shown(by), approved: shown(approvedBy) });
  return words.text('fence.by-one', { by: by ? shown(by) : words.text('truck.unknown') });
}

function proposalOf(row: Fields): Proposal {
  const shapes = isFields(row['shapes']) && isList(row['shapes']['features']) ? row['shapes']['features'] : [];
  return {
    id: numberOf(row['id']) ?? 0,
    state: textOf(row['state']) ?? '',
    by: textOf(row['by']) ?? '',
    atMs: momentOf(row['at']),
    reason: textOf(row['reason']) ?? '',
    base: numberOf(row['base']) ?? 0,
    decidedBy: textOf(row['decided_by']) ?? '',
    decidedMs: momentOf(row['decided_at']),
    decidedReason: textOf(row['decided_reason']) ?? '',
    version: numberOf(row['version']),
    shapes: shapes.map(readShape).filter((one): one is Shape => !(one instanceof Refused)),
    features: shapes,
    withdraw: isList(row['withdraw']) ? row['withdraw'].map(String) : [],
    thresholds: isFields(row['thresholds']) ? row['thresholds'] : null,
  };
}

function pageOf<Row>(value: unknown, read: (row: Fields) => Row): Page<Row> | Refused {
  if (!isFields(value) || !isList(value['rows'])) return new Refused('no_rows');
  return { rows: rowsOf(value['rows']).map(read), more: textOf(value['more']) ?? '' };
}

function rowsOf(value: unknown): readonly Fields[] {
  return isList(value) ? value.filter(isFields) : [];
}
