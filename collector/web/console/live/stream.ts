/**
 * The one open connection to the centre: in the SharedWorker, or in a tab where there is none.
 * Law: it forwards what comes and reads none of it but the id from which it goes on, and why it was sent away.
 */
import { EVENTS } from './words';
import type { EventName, News, Tell } from './words';

const URL_ = '/api/v1/live/stream';
const RECENT_MAX = 64; // events that a tab which joins later may have missed: snapshots are cached for a second
const BACKOFF_MS = 1_000;
const BACKOFF_MS_MAX = 30_000;

export class Stream {
  private source: EventSource | null = null;
  private last = '';
  private tries = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private recent: News[] = [];
  private isBegun = false;

  constructor(
    private readonly tell: Tell,
    private readonly chance: () => number = Math.random,
  ) {}

  /** Open from a feed number; who comes later hears what came lately instead. */
  begin(since: number): readonly News[] {
    if (this.isBegun) return this.recent;
    this.isBegun = true;
    this.last = String(since);
    this.open();
    return [];
  }

  end(): void {
    this.isBegun = false;
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  private open(): void {
    const source = new EventSource(`${URL_}?since=${encodeURIComponent(this.last)}`);
    this.source = source;
    source.onopen = () => {
      this.tries = 0;
      this.tell({ kind: 'up' });
    };
    source.onerror = () => {
      this.tell({ kind: 'down' });
      if (source.readyState === EventSource.CLOSED) void this.again();
    };
    for (const name of EVENTS) source.addEventListener(name, (event) => this.hear(name, event));
  }

  private hear(name: EventName, event: MessageEvent<string>): void {
    if (event.lastEventId) this.last = event.lastEventId;
    const news: News = { kind: 'event', name, data: event.data, id: event.lastEventId };
    this.recent = [...this.recent.slice(1 - RECENT_MAX), news];
    this.tell(news);
    if (name !== 'bye') return;
    this.source?.close();
    // Too many of this session: who came back at once would drive out the next, and so on round.
    if (event.data.includes('too_many')) this.isBegun = false;
    else void this.again();
  }

  /** After a closed stream: does the centre live, does it know us, and then full jitter. */
  private async again(): Promise<void> {
    this.source?.close();
    this.source = null;
    const most = Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** this.tries);
    this.tries += 1;
    if (await isForbidden()) {
      this.tell({ kind: 'login' });
      this.isBegun = false; // who logs in begins again
      return;
    }
    if (!this.isBegun) return;
    this.timer = setTimeout(() => this.open(), BACKOFF_MS + this.chance() * most);
  }
}

/** An EventSource does not say why it was refused. */
async function isForbidden(): Promise<boolean> {
  try {
    const health = await fetch('/healthz', { cache: 'no-store' });
    if (!health.ok) return false;
    const me = await fetch('/api/v1/me', { cache: 'no-store' });
    return me.status === 401;
  } catch {
    return false;
  }
}
