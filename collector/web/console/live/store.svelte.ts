/**
 * What the console knows now: units as columns, alerts by id, the strip's numbers.
 * Law: a row replaces only a lower `rev`; a change replaces only an older feed; nothing is invented while the stream is silent.
 */
import { readAlert } from '../lib/alerts';
import type { Alert } from '../lib/alerts';
import { NO_UNITS, changed, readChange, readSnapshot } from '../lib/columns';
import { Refused, isFields, isList, parsed, textOf } from '../lib/decode';
import { ServerTime } from '../shell/stale';
import { bytes, get } from '../shell/client';
import { noted } from '../shell/noted';
import { Anew } from './anew';
import type { Part } from './anew';
import { Connection } from './connection';
import { listed } from './listed';
import { readStat } from './stat';
import type { Stat } from './stat';
import type { News } from './words';

const ROOM_ROWS = 200; // so many of a cut list have gone: there is room for a page of those that it left out

/** A list that is longer than the queue is built for. */
export interface Cut {
  readonly shown: number;
  readonly of: number;
}

export class Live {
  units = $state.raw(NO_UNITS);
  alerts = $state.raw<ReadonlyMap<string, Alert>>(new Map());
  /** Null: every active alert is there. */
  cut = $state.raw<Cut | null>(null);
  stat = $state.raw<Stat | null>(null);
  /** performance.now() of the last event. */
  heardMs = $state<number | null>(null);
  /** Whether the first list of alerts has come: what is in it is no news. */
  isLoaded = $state(false);
  isLoginDue = $state(false);
  newBuild = $state('');
  /** Why the server ended the stream, if it said so. */
  farewell = $state('');
  /** What came and could not be read, by reason. */
  readonly refused = new Map<string, number>();
  readonly time = new ServerTime();

  private readonly connection = new Connection((news) => this.hear(news));
  private readonly anew = new Anew(
    (parts) => this.load(parts),
    (news) => this.heed(news),
    (act) => setTimeout(() => !this.isLoginDue && act(), 2_000 + Math.random() * 3_000),
  );
  private statMs = Number.NEGATIVE_INFINITY;
  private build = '';
  private isBeginning = false;
  /** The cut for which the list is read anew. */
  private filled: Cut | null = null;
  /** Ids of the alerts that came by the stream since the list was begun to be read: it may not know of them. */
  private readonly fresh = new Set<string>();

  /** Snapshot and alerts in parallel, then the stream from the smaller of their feeds. */
  async begin(): Promise<void> {
    this.isBeginning = true;
    await this.anew.want('units', 'alerts');
  }

  end(): void {
    this.connection.end();
  }

  /** A row that an act of ours brought back. */
  take(value: unknown): Alert | null {
    const alert = readAlert(value);
    if (alert instanceof Refused) {
      this.count(alert.reason);
      return null;
    }
    this.put([alert]);
    return this.alerts.get(alert.id) ?? null;
  }

  private hear(news: News): void {
    if (news.kind === 'event' && Number.isFinite(news.ageMs)) this.heardMs = Math.max(this.heardMs ?? 0, performance.now() - news.ageMs);
    // An alert is shown at once, also while the list is read: nobody waits for 25 pages to hear of a cut seal. What tells the time never waits.
    const waits = news.kind === 'event' && news.name !== 'stat' && (news.name === 'units' || this.isBeginning);
    if (!waits || !this.anew.holds(news)) this.heed(news);
  }

  private heed(news: News): void {
    switch (news.kind) {
      case 'up':
        this.farewell = '';
        return;
      case 'login':
        this.isLoginDue = true;
        return;
      case 'down': // how long ago something came, is what is shown
      case 'pong':
        return;
      case 'event':
        this.event(news.name, parsed(news.data), news.ageMs);
    }
  }

  private event(name: string, data: unknown, ageMs: number): void {
    switch (name) {
      case 'units': {
        const change = readChange(data);
        if (change instanceof Refused) this.count(change.reason);
        else this.units = changed(this.units, change);
        return;
      }
      case 'alert':
        if (isFields(data) && data['reload'] === true) void this.anew.want('alerts');
        else if (isFields(data) && isList(data['rows'])) this.readRows(data['rows']);
        else this.count('no_rows');
        return;
      case 'stat': {
        const stat = readStat(data);
        if (stat instanceof Refused) return this.count(stat.reason);
        const cameMs = performance.now() - ageMs;
        if (cameMs < this.statMs) return;
        [this.stat, this.statMs] = [stat, cameMs];
        this.time.hear(stat.tMs, cameMs, Date.now() - ageMs);
        this.fill();
        return;
      }
      case 'reset':
        void this.anew.want('units', 'alerts');
        return;
      case 'deploy':
        this.served((isFields(data) && textOf(data['build'])) || '?');
        return;
      case 'bye':
        this.farewell = (isFields(data) && textOf(data['why'])) || '?';
        if (this.farewell === 'logout' || this.farewell === 'expired') this.isLoginDue = true;
    }
  }

  /** The first build that is heard of is the one that gave us this page, or so young that a reload would give no other. */
  private served(build: string): void {
    this.build ||= build;
    this.newBuild = build === this.build ? '' : build;
  }

  /** Whether all that was asked for came. */
  private async load(parts: ReadonlySet<Part>): Promise<boolean> {
    const [units, alerts] = await Promise.all([
      parts.has('units') ? this.loadUnits() : 0,
      parts.has('alerts') ? this.loadAlerts() : 0,
    ]);
    if (units === null || alerts === null) return false;
    if (this.isBeginning) {
      this.isBeginning = false;
      this.connection.begin(Math.min(units, alerts));
    }
    return true;
  }

  private async loadUnits(): Promise<number | null> {
    const answer = await bytes('/live/snapshot');
    if (!(answer instanceof ArrayBuffer)) {
      if (answer.kind === 'login') this.isLoginDue = true;
      return null;
    }
    const units = readSnapshot(answer);
    if (units instanceof Refused) {
      this.count(units.reason);
      return null;
    }
    this.units = units;
    return units.feed;
  }

  private async loadAlerts(): Promise<number | null> {
    this.fresh.clear();
    const ask = async (path: string): Promise<unknown> => {
      const answer = await get(path);
      if (answer.kind === 'login') this.isLoginDue = true;
      return answer.kind === 'ok' ? answer.value : null;
    };
    const active = await listed('active', ask);
    const shelved = active === null ? null : await listed('shelved', ask);
    if (active === null || shelved === null) return null;
    const found = this.decoded([...active.rows, ...shelved.rows]);
    const leftOut = active.leftOut + shelved.leftOut;
    this.cut = leftOut === 0 ? null : { shown: found.length, of: found.length + leftOut };
    const kept = new Map(found.map((alert) => [alert.id, alert]));
    for (const [id, alert] of kept) {
      const known = this.alerts.get(id);
      if (known !== undefined && known.rev > alert.rev) kept.set(id, known);
    }
    for (const id of this.fresh) {
      const known = this.alerts.get(id);
      if (known !== undefined && !kept.has(id)) kept.set(id, known);
    }
    this.alerts = kept;
    this.isLoaded = true;
    return Math.min(active.feed, shelved.feed);
  }

  /** What a cut list has left out comes in as soon as there is room for it. */
  private fill(): void {
    if (this.cut === null || this.cut === this.filled) return;
    let open = 0;
    for (const alert of this.alerts.values()) if (alert.state !== 'CLOSED') open += 1;
    if (open > this.cut.shown - ROOM_ROWS) return;
    this.filled = this.cut;
    void this.anew.want('alerts');
  }

  private readRows(rows: readonly unknown[]): void {
    this.put(this.decoded(rows));
  }

  private decoded(rows: readonly unknown[]): Alert[] {
    const found: Alert[] = [];
    for (const row of rows) {
      const alert = readAlert(row);
      if (alert instanceof Refused) this.count(alert.reason);
      else found.push(alert);
    }
    return found;
  }

  private put(rows: readonly Alert[]): void {
    const next = new Map(this.alerts);
    for (const row of rows) {
      const known = next.get(row.id);
      if (known !== undefined && known.rev >= row.rev) continue;
      next.set(row.id, row);
      this.fresh.add(row.id);
    }
    this.alerts = next;
    noted('alerts');
  }

  private count(reason: string): void {
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1);
  }
}
