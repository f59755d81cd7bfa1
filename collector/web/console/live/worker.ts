/** The SharedWorker `live`: one stream for all tabs of the browser. HTTP/1.1 has six connections an origin; a seventh window would hang. */
import { Ports } from './ports';
import type { Ask } from './words';

interface Scope {
  onconnect: ((event: MessageEvent) => void) | null;
}

const ports = new Ports();

(globalThis as unknown as Scope).onconnect = (event) => {
  const port = event.ports[0];
  if (port === undefined) return;
  ports.add(port);
  port.onmessage = (message: MessageEvent<Ask>) => ports.answer(port, message.data);
};
