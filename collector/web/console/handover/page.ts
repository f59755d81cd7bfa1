/** What a desk hands over, decoded. Law: a row that cannot be read is left away and counted, for nothing may be handed over unseen. */
import { readAlert } from '../lib/alerts';
import type { Alert } from '../lib/alerts';
import { Refused, isFields, isList, numberOf, textOf } from '../lib/decode';

export const KINDS = ['open', 'shelved', 'out'] as const;
export type Kind = (typeof KINDS)[number];

export interface Signed {
  readonly number: number;
  readonly atMs: number;
  readonly outgoing: string;
  readonly note: string;
  /** '' while it waits to be confirmed. */
  readonly incoming: string;
}

export interface Page {
  readonly desk: string;
  readonly critical: number;
  readonly rows: Readonly<Record<Kind, readonly Alert[]>>;
  readonly unread: number;
  readonly newest: Signed | null;
}

export function readPage(value: unknown): Page | Refused {
  if (!isFields(value)) return new Refused('no_object');
  const desk = textOf(value['desk']);
  const critical = numberOf(value['critical']);
  if (desk === null || critical === null) return new Refused('no_page');
  let unread = 0;
  const rowsOf = (kind: Kind): readonly Alert[] => {
    const list = value[kind];
    return (isList(list) ? list : []).flatMap((row) => {
      const alert = readAlert(row);
      if (!(alert instanceof Refused)) return [alert];
      unread += 1;
      return [];
    });
  };
  const rows = { open: rowsOf('open'), shelved: rowsOf('shelved'), out: rowsOf('out') };
  return { desk, critical, rows, unread, newest: signedOf(value['newest']) };
}

export function signedOf(value: unknown): Signed | null {
  if (!isFields(value)) return null;
  const [number, atMs, outgoing] = [numberOf(value['number']), numberOf(value['at']), textOf(value['outgoing'])];
  if (number === null || atMs === null || outgoing === null) return null;
  return { number, atMs, outgoing, note: textOf(value['note']) ?? '', incoming: textOf(value['incoming']) ?? '' };
}
