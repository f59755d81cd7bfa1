/** The queue's state: which view, which rows in which order, which one is chosen. Law: what is chosen is an id, never a place in the list. */
import { isActive, isResting } from '../lib/alerts';
import type { Alert } from '../lib/alerts';
import type { Shell } from '../shell/shell.svelte';
import { CHATTER_MS, HOLD_MS, YOUNG_MS, bandOf, groupsOf, inQueueOrder, settled, unfolded } from './order';
import type { Group, Shown } from './order';

export const VIEWS = ['active', 'mine', 'shelved', 'events'] as const;
export type View = (typeof VIEWS)[number];

export class Queue {
  private readonly shell: Shell;
  shown = $state.raw<readonly Shown[]>([]);
  waiting = $state(0);
  isPaused = $state(false);
  filter = $state('');
  openGroup = $state('');
  private movedMs = Number.NEGATIVE_INFINITY;
  private settledOn: readonly Alert[] | null = null;
  private readonly arrivedMs = new Map<string, number>();

  constructor(shell: Shell) {
    this.shell = shell;
  }

  readonly view: View = $derived.by(() => VIEWS.find((one) => one === this.shell.route.get('view')) ?? 'active');
  readonly selectedId = $derived.by(() => this.shell.route.get('alert'));
  readonly selected: Alert | null = $derived.by(() => this.shell.live.alerts.get(this.selectedId) ?? null);
  readonly active: readonly Alert[] = $derived.by(() => inQueueOrder(unfolded([...this.shell.live.alerts.values()].filter(isActive), this.shell.live.alerts)));
  readonly mine: readonly Alert[] = $derived.by(() => this.active.filter(({ owner }) => owner !== '' && owner === this.shell.session?.user));
  readonly shelved: readonly Alert[] = $derived.by(() => inQueueOrder([...this.shell.live.alerts.values()].filter(isResting)));
  readonly band: readonly Alert[] = $derived.by(() => (this.view === 'active' ? bandOf(this.active) : []));
  readonly isFlood = $derived.by(() => this.shell.live.stat?.isFlood ?? false);
  /** In a flood: what is grouped by cause. Otherwise none. */
  readonly groups: readonly Group[] = $derived.by(() => (this.isFlood && this.view === 'active' && this.filter === '' ? groupsOf(this.active).groups : []));
  readonly wanted: readonly Alert[] = $derived.by(() => {
    const rows = this.view === 'mine' ? this.mine : this.view === 'shelved' ? this.shelved : this.active;
    const words = this.filter.trim().toLowerCase();
    return words === '' ? rows : rows.filter((row) => `${row.plate} ${row.no} ${row.code} ${row.owner}`.toLowerCase().includes(words));
  });

  /** Un-acknowledged criticals that stand above the list and not in it. */
  readonly inBand: ReadonlySet<string> = $derived.by(() => new Set(this.band.map(({ id }) => id)));
  private readonly inGroup: ReadonlySet<string> = $derived.by(() => new Set(this.groups.flatMap(({ code, rows }) => (code === this.openGroup ? [] : rows.map(({ id }) => id)))));
  /** The rows below the band and the groups, as the list has them. */
  readonly listed: readonly Shown[] = $derived.by(() => this.shown.filter(({ alert }) => !this.inGroup.has(alert.id) && !this.inBand.has(alert.id)));

  /** Look again what the list shows; `nowMs` is the page's monotonic clock. */
  settle(nowMs: number): void {
    const isHeld = this.isPaused || nowMs - this.movedMs < HOLD_MS;
    if (!isHeld && this.settledOn === this.wanted) return;
    this.settledOn = isHeld ? null : this.wanted;
    this.remember(nowMs);
    const { rows, waiting } = settled(this.shown, this.wanted, isHeld);
    this.shown = rows;
    this.waiting = waiting;
  }

  /** Another view or filter: nothing of the old list is held. */
  release(): void {
    this.movedMs = Number.NEGATIVE_INFINITY;
    this.shown = [];
    this.settledOn = null;
  }

  pointerMoved(nowMs: number): void {
    this.movedMs = nowMs;
  }

  select(id: string | null): void {
    this.shell.route.set('alert', id);
  }

  /** So many rows on, or as far as there are any: first the band, then the list. */
  step(by: number): void {
    const { band, listed } = this;
    const last = band.length + listed.length - 1;
    const at = this.place();
    const next = at < 0 ? (by > 0 ? 0 : last) : Math.min(Math.max(at + by, 0), last);
    const id = next < band.length ? band[next]?.id : listed[next - band.length]?.alert.id;
    if (id !== undefined) this.select(id);
  }

  /** Which one is chosen, counted over band and list; -1: none of them. */
  private place(): number {
    const inBand = this.band.findIndex(({ id }) => id === this.selectedId);
    if (inBand >= 0) return inBand;
    const row = this.listed.findIndex(({ alert }) => alert.id === this.selectedId);
    return row < 0 ? -1 : this.band.length + row;
  }

  /** Unfold a group, or fold it. */
  turn({ code }: Group): void {
    this.openGroup = this.openGroup === code ? '' : code;
  }

  /** A key acts on no row that has just appeared: the hand was meant for another one. */
  isYoung({ id }: Alert, nowMs: number): boolean {
    return nowMs - (this.arrivedMs.get(id) ?? nowMs) < YOUNG_MS;
  }

  isChattering({ chatterMs }: Alert, serverMs: number | null): boolean {
    return chatterMs !== null && serverMs !== null && serverMs - chatterMs < CHATTER_MS;
  }

  private remember(nowMs: number): void {
    const { alerts } = this.shell.live;
    for (const id of alerts.keys()) if (!this.arrivedMs.has(id)) this.arrivedMs.set(id, nowMs);
    for (const id of this.arrivedMs.keys()) if (!alerts.has(id)) this.arrivedMs.delete(id);
  }
}
