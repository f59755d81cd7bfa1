/** A tab's side of the stream: the SharedWorker's, or one of its own where there is none or it stays mute. */
import { Stream } from './stream';
import { READ_ANEW } from './words';
import type { Ask, News, Tell } from './words';

const PING_MS = 10_000;
/** Pings without an answer. Not a time: a computer that slept, and the slow timers of a hidden tab, let any time pass between two looks. */
const PINGS_MAX = 3;

export class Connection {
  private port: MessagePort | null = null;
  private own: Stream | null = null;
  private unanswered = 0;
  private timer: ReturnType<typeof setInterval> | undefined;
  private since = 0;
  private isBegun = false;
  private readonly leave = (): void => this.ask({ kind: 'leave' });
  /** Back out of the browser's memory of left pages: what came meanwhile nobody has kept. */
  private readonly back = (event: PageTransitionEvent): void => {
    if (!event.persisted) return;
    this.ask({ kind: 'begin', since: this.since });
    this.tell(READ_ANEW);
  };

  constructor(private readonly tell: Tell) {
    if (typeof SharedWorker === 'undefined') return;
    try {
      const worker = new SharedWorker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'live' });
      worker.port.onmessage = (message: MessageEvent<News>) => {
        this.unanswered = 0;
        if (message.data.kind !== 'pong' && this.own === null) this.tell(message.data);
      };
      worker.onerror = () => this.fallBack();
      this.port = worker.port;
    } catch {
      this.port = null;
    }
  }

  begin(since: number): void {
    this.since = since;
    this.isBegun = true;
    this.unanswered = 0;
    if (this.port === null) return this.fallBack();
    this.ask({ kind: 'begin', since });
    clearInterval(this.timer);
    this.timer = setInterval(() => this.check(), PING_MS);
    addEventListener('pagehide', this.leave);
    addEventListener('pageshow', this.back);
  }

  end(): void {
    this.isBegun = false;
    clearInterval(this.timer);
    removeEventListener('pagehide', this.leave);
    removeEventListener('pageshow', this.back);
    this.leave();
    this.own?.end();
    this.own = null;
  }

  private check(): void {
    if (this.unanswered >= PINGS_MAX) return this.fallBack();
    this.unanswered += 1;
    this.ask({ kind: 'ping' });
  }

  private fallBack(): void {
    clearInterval(this.timer);
    this.leave(); // should it only be slow, it tells us nothing twice
    this.port = null;
    if (!this.isBegun) return; // from where, is known when all has been read
    this.own ??= new Stream(this.tell);
    this.own.begin(this.since);
  }

  private ask(ask: Ask): void {
    this.port?.postMessage(ask);
  }
}
