/**
 * Reading anew while the stream goes on.
 * Law: what is read may be older than what the stream says meanwhile; so that waits, and is heard behind it, in its order.
 */
import type { News } from './words';

export type Part = 'units' | 'alerts';

export const HELD_MAX = 2_000; // minutes of a busy stream; of more it is better to read once more

export class Anew {
  private readonly wanted = new Set<Part>();
  private held: News[] = [];
  private isReading = false;

  /**
   * `read` says whether all of it came; `hear` takes the news that waited; `later` is for what did not come: it carries out `act`
   * a moment later, or never, when nobody may read any more.
   */
  constructor(
    private readonly read: (parts: ReadonlySet<Part>) => Promise<boolean>,
    private readonly hear: (news: News) => void,
    private readonly later: (act: () => void) => void,
  ) {}

  /** Whether this has to wait; it is heard by itself then. */
  holds(news: News): boolean {
    if (!this.isReading) return false;
    if (this.held.length < HELD_MAX) this.held.push(news);
    else {
      this.held = [];
      this.wanted.add('units').add('alerts');
    }
    return true;
  }

  /** Read these parts anew; while one reading runs, as soon as it is over. */
  async want(...parts: readonly Part[]): Promise<void> {
    for (const part of parts) this.wanted.add(part);
    if (this.isReading) return;
    this.isReading = true;
    let isDone = true;
    while (isDone && this.wanted.size > 0) {
      const due = new Set(this.wanted);
      this.wanted.clear();
      isDone = await this.read(due);
      if (!isDone) for (const part of due) this.wanted.add(part);
    }
    this.isReading = false;
    for (const news of this.held.splice(0)) if (!this.holds(news)) this.hear(news);
    if (!isDone) this.later(() => void this.want());
  }
}
