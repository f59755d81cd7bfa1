/** Where we are: path and query of the page. Law: every view is a URL, so nothing of a view lives anywhere else. */

const WRITE_MS = 250; // a browser takes twenty writes a second and drops what is more: who holds `j` down would stay where he is

export class Route {
  path = $state('/');
  query = $state.raw(new URLSearchParams());
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.read();
  }

  /** Follow Back and Forward; the undo. */
  listen(): () => void {
    const read = (): void => {
      clearTimeout(this.timer); // what was still to be written belonged to the page that was left
      this.timer = undefined;
      this.read();
    };
    const write = (): void => this.write();
    window.addEventListener('popstate', read);
    window.addEventListener('pagehide', write);
    return () => {
      window.removeEventListener('popstate', read);
      window.removeEventListener('pagehide', write);
    };
  }

  go(path: string): void {
    this.write();
    const to = new URL(path, window.location.href);
    for (const name of ['lang', 'theme', 'kiosk']) {
      const value = this.query.get(name);
      if (value !== null && !to.searchParams.has(name)) to.searchParams.set(name, value);
    }
    history.pushState(null, '', to);
    this.read();
  }

  /** Take one part of the view; null or '' takes it away. It holds at once, and stands in the address a moment later. Back is not filled with it. */
  set(name: string, value: string | null): void {
    if (this.get(name) === (value ?? '')) return;
    const query = new URLSearchParams(this.query);
    if (value === null || value === '') query.delete(name);
    else query.set(name, value);
    this.query = query;
    this.timer ??= setTimeout(() => this.write(), WRITE_MS);
  }

  get(name: string): string {
    return this.query.get(name) ?? '';
  }

  private write(): void {
    if (this.timer === undefined) return;
    clearTimeout(this.timer);
    this.timer = undefined;
    const to = new URL(window.location.href);
    to.search = this.query.toString();
    history.replaceState(null, '', to);
  }

  private read(): void {
    this.path = window.location.pathname;
    this.query = new URLSearchParams(window.location.search);
  }
}
