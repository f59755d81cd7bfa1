/**
 * The tabs that share one stream.
 * Law: each tab has all that came after its `since`. Whoever cannot be told what he missed is told to read anew.
 */
import { Stream } from './stream';
import { READ_ANEW } from './words';
import type { Ask, News } from './words';

/** As much of a MessagePort as is needed. */
export interface Port {
  postMessage(news: News): void;
}

export class Ports {
  private readonly all = new Set<Port>();
  private readonly begun = new Set<Port>();

  constructor(private readonly stream = new Stream((news) => this.tell(news))) {}

  /** A tab hears from now on, also before it has begun: what comes while it reads is news to it. */
  add(port: Port): void {
    this.all.add(port);
  }

  answer(port: Port, ask: Ask): void {
    switch (ask.kind) {
      case 'begin':
        this.begin(port, ask.since);
        return;
      case 'ping':
        port.postMessage({ kind: 'pong' });
        return;
      case 'leave':
        this.all.delete(port);
        this.begun.delete(port);
        if (this.all.size === 0) this.stream.end();
    }
  }

  private begin(port: Port, since: number): void {
    this.all.add(port); // also one that had left
    const { isNew, recent } = this.stream.begin(since);
    for (const news of recent) port.postMessage(news);
    // A stream that had ended begins from what this tab has: the others have not heard what came between.
    if (isNew) for (const other of this.begun) if (other !== port) other.postMessage(READ_ANEW);
    this.begun.add(port);
  }

  private tell(news: News): void {
    for (const port of this.all) port.postMessage(news);
  }
}
