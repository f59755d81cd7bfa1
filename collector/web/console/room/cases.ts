/** A case of alerts, decoded, and how it is named where one is chosen. Law: what may be done with it, the centre decides. */
import type { Alert } from '../lib/alerts';
import { Refused, isFields, isList, numberOf, textOf } from '../lib/decode';

export interface Case {
  readonly number: number;
  readonly version: number;
  readonly state: string;
  readonly openedMs: number;
  readonly openedBy: string;
  readonly assignee: string;
  readonly crew: string;
  readonly outcome: string;
  /** Ids of those of its alerts that this person sees. */
  readonly alerts: readonly string[];
}

export function readCase(value: unknown): Case | Refused {
  if (!isFields(value)) return new Refused('no_object');
  const [number, version, openedMs] = [numberOf(value['number']), numberOf(value['version']), numberOf(value['opened'])];
  const state = textOf(value['state']);
  if (number === null || version === null || openedMs === null || state === null) return new Refused('no_case');
  const text = (name: string): string => textOf(value[name]) ?? '';
  return {
    number,
    version,
    state,
    openedMs,
    openedBy: text('opened_by'),
    assignee: text('assignee'),
    crew: text('crew'),
    outcome: text('outcome'),
    alerts: isList(value['alerts']) ? value['alerts'].map(String) : [],
  };
}

/** Those in the answer of a list; what cannot be read is left away. */
export function casesOf(answer: unknown): readonly Case[] {
  const rows = isFields(answer) && isList(answer['rows']) ? answer['rows'] : [];
  return rows.map(readCase).filter((one): one is Case => !(one instanceof Refused));
}

/** Plates of the alerts in it that are still on the screen, each once. */
export function platesOf({ alerts }: Case, known: ReadonlyMap<string, Alert>): readonly string[] {
  return [...new Set(alerts.flatMap((id) => known.get(id)?.plate || []))];
}
