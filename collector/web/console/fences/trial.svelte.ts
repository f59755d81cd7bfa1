/** One dry run and what came of it. Law: an outcome counts for the draft that was tried, and for no other. */
import { isFields } from '../lib/decode';
import { lines } from '../shell/client';
import type { Answer } from '../shell/client';
import { readLine } from './outcome';
import type { Outcome, Progress } from './outcome';

export class Trial {
  progress = $state.raw<Progress | null>(null);
  outcome = $state.raw<Outcome | null>(null);
  /** What went wrong; null while nothing has. */
  wrong = $state.raw<Answer | string | null>(null);
  isRunning = $state(false);
  chosen = $state(-1);
  private of = $state('');
  private ender: AbortController | null = null;

  async run(body: object, days: number): Promise<void> {
    this.stop();
    const ender = new AbortController();
    [this.ender, this.isRunning, this.progress, this.outcome, this.wrong, this.chosen] = [ender, true, null, null, null, -1];
    this.of = JSON.stringify(body);
    const answer = await lines('/fences/dry-run', { ...body, days }, (line) => this.hear(line), ender.signal);
    if (this.ender !== ender) return;
    this.isRunning = false;
    if (this.outcome === null && this.wrong === null) this.wrong = answer ?? 'cut';
  }

  stop(): void {
    this.ender?.abort();
    [this.ender, this.isRunning, this.progress] = [null, false, null];
  }

  clear(): void {
    this.stop();
    [this.outcome, this.wrong, this.chosen, this.of] = [null, null, -1, ''];
  }

  /** Whether just this was tried, to an end or as far as it could be. */
  isOf(body: object): boolean {
    return !this.isRunning && this.of === JSON.stringify(body) && (this.outcome !== null || this.isHindered);
  }

  /** It could not be tried, and that is no fault of the draft. */
  private get isHindered(): boolean {
    const { wrong } = this;
    return wrong !== null && !(isFields(wrong) && wrong['kind'] === 'refused' && wrong['status'] === 422);
  }

  private hear(line: unknown): void {
    const said = readLine(line);
    if (said?.kind === 'progress') this.progress = said.progress;
    else if (said?.kind === 'result') this.outcome = said.outcome;
    else if (said?.kind === 'fault') this.wrong = said.why;
  }
}
