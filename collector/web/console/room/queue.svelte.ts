/** The queue's state: which view, which rows in which order, which one is chosen. Law: what is chosen is an id, never a place in the list. */
import { isActive, isResting } from '../lib/alerts';
import type { Alert } from '../lib/alerts';
import type { Shell } from '../shell/shell.svelte';
import { CHATTER_MS, HOLD_MS, YOUNG_MS, bandOf, groupsOf, inQueueOrder, settled, unfolded } from './order';
import type { Shown } from './order';

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
  readonly band: readonly Alert[] = $derived.by(() => bandOf(this.active));
  readonly isFlood = $derived.by(() => this.shell.live.stat?.isFlood ?? false);
  readonly groups = $derived.by(() => groupsOf(this.active));
  readonly wanted: readonly Alert[] = $derived.by(() => {
    const rows = this.view === 'mine' ? this.mine : this.view === 'shelved' ? this.shelved : this.active;
    const words = this.filter.trim().toLowerCase();
    return words === '' ? rows : rows.filter((row) => `${row.plate} ${row.no} ${row.code} ${row.owner}`.toLowerCase().includes(words));
  });

  /** Look again what the list shows; `nowMs` is the page's monotonic clock. */
  settle(nowMs: number): void {
    this.remember(nowMs);
    const { rows, waiting } = settled(this.shown, this.wanted, this.isPaused || nowMs - this.movedMs < HOLD_MS);
    this.shown = rows;
    this.waiting = waiting;
  }

  /** Another view or filter: nothing of the old list is held. */
  release(): void {
    this.movedMs = Number.NEGATIVE_INFINITY;
    this.shown = [];
  }

  pointerMoved(nowMs: number): void {
    this.movedMs = nowMs;
  }

  select(id: string | null): void {
    this.shell.route.set('alert', id);
  }

  step(by: 1 | -1): void {
    const at = this.shown.findIndex(({ alert }) => alert.id === this.selectedId);
    const next = this.shown[at < 0 ? (by === 1 ? 0 : this.shown.length - 1) : at + by];
    if (next !== undefined) this.select(next.alert.id);
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
