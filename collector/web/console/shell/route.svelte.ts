/** Where we are: path and query of the page. Law: every view is a URL, so nothing of a view lives anywhere else. */

export class Route {
  path = $state('/');
  query = $state.raw(new URLSearchParams());

  constructor() {
    this.read();
  }

  /** Follow Back and Forward; the undo. */
  listen(): () => void {
    const read = (): void => this.read();
    window.addEventListener('popstate', read);
    return () => window.removeEventListener('popstate', read);
  }

  go(path: string): void {
    const to = new URL(path, window.location.href);
    for (const name of ['lang', 'theme', 'kiosk']) {
      const value = this.query.get(name);
      if (value !== null && !to.searchParams.has(name)) to.searchParams.set(name, value);
    }
    history.pushState(null, '', to);
    this.read();
  }

  /** Write one part of the view into the address; null or '' takes it away. Back is not filled with it. */
  set(name: string, value: string | null): void {
    const to = new URL(window.location.href);
    if (value === null || value === '') to.searchParams.delete(name);
    else to.searchParams.set(name, value);
    if (to.href === window.location.href) return;
    history.replaceState(null, '', to);
    this.read();
  }

  get(name: string): string {
    return this.query.get(name) ?? '';
  }

  private read(): void {
    this.path = window.location.pathname;
    this.query = new URLSearchParams(window.location.search);
  }
}
