/** The load of the alarms as the server reckons it, decoded. Law: nothing is reckoned anew here; what is null was not known. */
import { Refused, isFields, isList, numberOf, textOf } from '../lib/decode';
import type { Fields } from '../lib/decode';

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly limit: number;
  readonly ok: boolean;
}

export interface Stretch {
  readonly beginMs: number;
  readonly annunciated: number;
  readonly mean: number;
  readonly most: number;
}

export interface Rule {
  readonly code: string;
  readonly times: number;
  readonly percent: number;
  readonly budgetPercent: number;
  readonly precisionPercent: number | null;
  readonly ok: boolean;
}

export interface Took {
  readonly prio: number;
  readonly p50S: number;
  readonly p95S: number;
}

export interface Load {
  readonly desk: string;
  readonly desks: readonly string[];
  readonly beginMs: number;
  readonly endMs: number;
  readonly annunciated: number;
  readonly most: number;
  readonly floods: number;
  readonly figures: readonly Figure[];
  readonly stretches: readonly Stretch[];
  readonly split: readonly { readonly prio: number; readonly percent: number; readonly target: number }[];
  readonly rules: readonly Rule[];
  readonly worst: readonly { readonly code: string; readonly unit: string; readonly times: number }[];
  readonly worstPercent: number;
  readonly budget: number;
  readonly budgetPercent: number;
  readonly toAck: readonly Took[];
  readonly toDispatch: readonly Took[];
  readonly vehicleHours: number;
  readonly perVehicleHours: number | null;
  readonly outcomes: readonly (readonly [string, number])[];
}

export const RULE_PERCENT_MAX = 5; // ISA-18.2: the ten worst bear 1 to 5 % of the load each

export function readLoad(value: unknown): Load | Refused {
  if (!isFields(value)) return new Refused('no_object');
  const [beginMs, endMs] = [momentOf(value['begin']), momentOf(value['end'])];
  const annunciated = numberOf(value['annunciated']);
  if (beginMs === null || endMs === null || annunciated === null) return new Refused('no_load');
  return {
    desk: textOf(value['desk']) ?? '',
    desks: isList(value['desks']) ? value['desks'].map(String) : [],
    beginMs,
    endMs,
    annunciated,
    most: whole(value, 'per_window_max'),
    floods: whole(value, 'floods'),
    figures: rowsOf(value['figures']).map((row) => ({ name: textOf(row['name']) ?? '', value: whole(row, 'value'), limit: whole(row, 'limit'), ok: row['ok'] === true })),
    stretches: rowsOf(value['bars']).flatMap((row) => {
      const at = momentOf(row['begin']);
      return at === null ? [] : [{ beginMs: at, annunciated: whole(row, 'annunciated'), mean: whole(row, 'per_window_mean'), most: whole(row, 'per_window_max') }];
    }),
    split: rowsOf(value['split']).map((row) => ({ prio: whole(row, 'prio'), percent: whole(row, 'percent'), target: whole(row, 'target') })),
    rules: rowsOf(value['rules']).map((row) => ({
      code: textOf(row['code']) ?? '',
      times: whole(row, 'times'),
      percent: whole(row, 'percent'),
      budgetPercent: whole(row, 'budget_percent'),
      precisionPercent: numberOf(row['precision_percent']),
      ok: row['ok'] === true,
    })),
    worst: rowsOf(value['worst']).map((row) => ({ code: textOf(row['code']) ?? '', unit: textOf(row['unit']) ?? '', times: whole(row, 'times') })),
    worstPercent: whole(value, 'worst_percent'),
    budget: whole(value, 'budget'),
    budgetPercent: whole(value, 'budget_percent'),
    toAck: rowsOf(value['to_ack']).map(tookOf),
    toDispatch: rowsOf(value['to_dispatch']).map(tookOf),
    vehicleHours: whole(value, 'vehicle_hours'),
    perVehicleHours: numberOf(value['per_1000_vehicle_hours']),
    outcomes: isFields(value['outcomes']) ? Object.entries(value['outcomes']).map(([name, n]) => [name, numberOf(n) ?? 0] as const) : [],
  };
}

/** Whether nobody was there to raise an alarm: then good figures are no good news. */
export function isDeaf(load: Load): boolean {
  return load.vehicleHours === 0 && load.annunciated === 0;
}

function tookOf(row: Fields): Took {
  return { prio: whole(row, 'prio'), p50S: whole(row, 'p50_s'), p95S: whole(row, 'p95_s') };
}

function whole(row: Fields, name: string): number {
  return numberOf(row[name]) ?? 0;
}

function rowsOf(value: unknown): readonly Fields[] {
  return isList(value) ? value.filter(isFields) : [];
}

function momentOf(value: unknown): number | null {
  const ms = Date.parse(textOf(value) ?? '');
  return Number.isNaN(ms) ? null : ms;
}
