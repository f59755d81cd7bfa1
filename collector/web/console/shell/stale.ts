/**
 * How old is what is on the screen? (CONSOLE section 3, staleness)
 * Law: ages are the server's time plus this page's monotonic clock; the PC's wall clock only betrays that it slept.
 */

export const STREAM_AMBER_S = 20; // `stat` comes every 5 s
export const STREAM_VEIL_S = 60;
export const FIELD_AMBER_S = 30;
export const FIELD_RED_TIMES = 4;
export const POSITION_OLD_S = 120;
export const SLEPT_MS = 5_000;

export type Level = 'fresh' | 'amber' | 'red';

export interface Staleness {
  /** red: map and queue are veiled, and nothing may be acted on. */
  readonly stream: Level;
  /** The centre hears no unit: the stream is well, the field is not. */
  readonly field: Level;
  readonly isAsleep: boolean;
  readonly silentS: number;
}

export interface Seen {
  /** performance.now() of the last event, and of now. */
  readonly heardMs: number | null;
  readonly nowMs: number;
  /** How far wall clock and monotonic clock have parted since the last event. */
  readonly driftMs: number;
  readonly ingestAgeS: number | null;
  /** Seconds between two batches of a unit as the centre expects them. */
  readonly batchS?: number;
}

export function staleness(seen: Seen): Staleness {
  const silentS = seen.heardMs === null ? Number.POSITIVE_INFINITY : (seen.nowMs - seen.heardMs) / 1_000;
  const isAsleep = Math.abs(seen.driftMs) > SLEPT_MS;
  const amberS = Math.max(FIELD_AMBER_S, 3 * (seen.batchS ?? 0));
  const fieldS = seen.ingestAgeS === null || !Number.isFinite(silentS) ? 0 : seen.ingestAgeS + silentS;
  return {
    stream: isAsleep || silentS >= STREAM_VEIL_S ? 'red' : silentS >= STREAM_AMBER_S ? 'amber' : 'fresh',
    field: fieldS >= amberS * FIELD_RED_TIMES ? 'red' : fieldS >= amberS ? 'amber' : 'fresh',
    isAsleep,
    silentS,
  };
}

/** Whether a position may be drawn as where the unit is. */
export function isOld(nowS: number, atS: number): boolean {
  return atS === 0 || nowS - atS > POSITION_OLD_S;
}

/** The server's time, carried on by a monotonic clock. */
export class ServerTime {
  private serverMs = 0;
  private monoMs: number | null = null;
  private wallMs = 0;

  hear(serverMs: number, monoMs: number, wallMs: number): void {
    this.serverMs = serverMs;
    this.monoMs = monoMs;
    this.wallMs = wallMs;
  }

  /** Null until the server has told the time once. */
  at(monoMs: number): number | null {
    return this.monoMs === null ? null : this.serverMs + (monoMs - this.monoMs);
  }

  drift(monoMs: number, wallMs: number): number {
    return this.monoMs === null ? 0 : wallMs - this.wallMs - (monoMs - this.monoMs);
  }
}
