/** The numbers of the strip, as the `stat` event says them. Law: unknown is null, never a zero. */
import { Refused, isFields, numberOf } from '../lib/decode';
import type { Fields } from '../lib/decode';

export interface Count {
  readonly unacked: number;
  readonly acked: number;
}

export interface Stat {
  readonly tMs: number;
  readonly ingestAgeS: number | null;
  readonly isKept: boolean; // what units say can be written down
  readonly alerts: readonly Count[]; // by priority, critical first
  readonly shelved: number;
  readonly stale: number;
  readonly last10: number;
  readonly isFlood: boolean;
  readonly unattended: readonly string[];
  readonly standsIn: readonly string[]; // unattended desks whose alerts come to this one
  readonly units: Fields;
}

export function readStat(data: unknown): Stat | Refused {
  if (!isFields(data)) return new Refused('no_object');
  const t = numberOf(data['t']);
  if (t === null) return new Refused('no_time');
  const alerts = isFields(data['alerts']) ? data['alerts'] : {};
  return {
    tMs: t,
    ingestAgeS: numberOf(data['ingest_age_s']),
    isKept: data['kept'] !== false,
    alerts: [1, 2, 3, 4].map((prio) => countOf(alerts[String(prio)])),
    shelved: numberOf(data['shelved']) ?? 0,
    stale: numberOf(data['stale']) ?? 0,
    last10: numberOf(data['last10']) ?? 0,
    isFlood: data['flood'] === true,
    unattended: namesOf(data['unattended']),
    standsIn: namesOf(data['stands_in']),
    units: isFields(data['units']) ? data['units'] : {},
  };
}

function namesOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function countOf(value: unknown): Count {
  if (Array.isArray(value)) return { unacked: numberOf(value[0]) ?? 0, acked: numberOf(value[1]) ?? 0 };
  if (!isFields(value)) return { unacked: 0, acked: 0 };
  return { unacked: numberOf(value['unacked']) ?? 0, acked: numberOf(value['acked']) ?? 0 };
}
