/** The SharedWorker `live`: one stream for all tabs of the browser. HTTP/1.1 has six connections an origin; a seventh window would hang. */
import { Stream } from './stream';
import type { Ask, News } from './words';

interface Scope {
  onconnect: ((event: MessageEvent) => void) | null;
}

const ports = new Set<MessagePort>();
const stream = new Stream((news) => ports.forEach((port) => port.postMessage(news)));

(globalThis as unknown as Scope).onconnect = (event) => {
  const port = event.ports[0];
  if (port === undefined) return;
  ports.add(port);
  port.onmessage = (message: MessageEvent<Ask>) => answer(port, message.data);
};

function answer(port: MessagePort, ask: Ask): void {
  switch (ask.kind) {
    case 'begin':
      ports.add(port); // also one that had left
      for (const news of stream.begin(ask.since)) port.postMessage(news);
      return;
    case 'ping':
      port.postMessage({ kind: 'pong' } satisfies News);
      return;
    case 'leave':
      ports.delete(port);
      if (ports.size === 0) stream.end();
  }
}
