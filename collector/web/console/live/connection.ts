/** A tab's side of the stream: the SharedWorker's, or one of its own where there is none or it stays mute. */
import { Stream } from './stream';
import type { Ask, News, Tell } from './words';

const PING_MS = 10_000;
const MUTE_MS = 30_000;

export class Connection {
  private port: MessagePort | null = null;
  private own: Stream | null = null;
  private heardMs = 0;
  private timer: ReturnType<typeof setInterval> | undefined;
  private since = 0;
  private readonly leave = (): void => this.ask({ kind: 'leave' });

  constructor(private readonly tell: Tell) {
    if (typeof SharedWorker === 'undefined') return;
    try {
      const worker = new SharedWorker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'live' });
      worker.port.onmessage = (message: MessageEvent<News>) => {
        this.heardMs = performance.now();
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
    this.heardMs = performance.now();
    if (this.port === null) return this.fallBack();
    this.ask({ kind: 'begin', since });
    clearInterval(this.timer);
    this.timer = setInterval(() => this.check(), PING_MS);
    addEventListener('pagehide', this.leave);
  }

  end(): void {
    clearInterval(this.timer);
    removeEventListener('pagehide', this.leave);
    this.leave();
    this.own?.end();
    this.own = null;
  }

  private check(): void {
    if (performance.now() - this.heardMs > MUTE_MS) this.fallBack();
    else this.ask({ kind: 'ping' });
  }

  private fallBack(): void {
    clearInterval(this.timer);
    this.port = null;
    this.own ??= new Stream(this.tell);
    this.own.begin(this.since);
  }

  private ask(ask: Ask): void {
    this.port?.postMessage(ask);
  }
}
