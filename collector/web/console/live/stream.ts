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
const ASK_MS_MAX = 10_000; // a centre that takes a call and says nothing must not hold up the next try for ever

interface Kept {
  readonly news: News & { readonly kind: 'event' };
  readonly cameMs: number;
}

export class Stream {
  private source: EventSource | null = null;
  private last = '';
  private tries = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private recent: Kept[] = [];
  /** What this holder is about; none while nobody wants it. Who has waited goes on only if it is still the same. */
  private going: object | null = null;

  constructor(
    private readonly tell: Tell,
    private readonly chance: () => number = Math.random,
  ) {}

  /** Open from a feed number; who comes later hears what came lately instead. `isNew`: what came before `since` nobody will tell. */
  begin(since: number): { readonly isNew: boolean; readonly recent: readonly News[] } {
    if (this.going !== null) {
      const nowMs = performance.now();
      return { isNew: false, recent: this.recent.map(({ news, cameMs }) => ({ ...news, ageMs: nowMs - cameMs })) };
    }
    this.going = {};
    this.recent = [];
    this.last = String(since);
    this.open();
    return { isNew: true, recent: [] };
  }

  end(): void {
    this.going = null;
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
    const news = { kind: 'event', name, data: event.data, id: event.lastEventId, ageMs: 0 } as const;
    this.recent = [...this.recent.slice(1 - RECENT_MAX), { news, cameMs: performance.now() }];
    this.tell(news);
    if (name !== 'bye') return;
    // Too many of this session: who came back at once would drive out the next, and so on round.
    if (event.data.includes('too_many')) this.end();
    else void this.again();
  }

  /** After a closed stream: does the centre live, does it know us, and then full jitter. */
  private async again(): Promise<void> {
    const { going } = this;
    this.source?.close();
    this.source = null;
    const most = Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** this.tries);
    this.tries += 1;
    const isStranger = await isForbidden();
    if (going === null || this.going !== going) return; // ended meanwhile, or begun anew
    if (isStranger) {
      this.end(); // who logs in begins again
      this.tell({ kind: 'login' });
      return;
    }
    this.timer = setTimeout(() => this.open(), BACKOFF_MS + this.chance() * most);
  }
}

/** An EventSource does not say why it was refused. */
async function isForbidden(): Promise<boolean> {
  const asked = (): RequestInit => ({ cache: 'no-store', signal: AbortSignal.timeout(ASK_MS_MAX) });
  try {
    const health = await fetch('/healthz', asked());
    if (!health.ok) return false;
    const me = await fetch('/api/v1/me', asked());
    return me.status === 401;
  } catch {
    return false;
  }
}
