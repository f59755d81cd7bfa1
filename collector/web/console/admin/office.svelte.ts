/** How an admin's part asks and acts: one question at a time, and every refusal becomes a sentence. */
import { Refused } from '../lib/decode';
import { get, post } from '../shell/client';
import type { Answer } from '../shell/client';
import type { Shell } from '../shell/shell.svelte';

export class Office {
  wrong = $state('');
  isBusy = $state(false);

  constructor(private readonly shell: Shell) {}

  /** What the centre says, read; null: it did not, or it could not be read, and `wrong` says why. */
  async ask<T>(path: string, read: (value: unknown) => T | Refused): Promise<T | null> {
    const answer = await get(path);
    if (answer.kind !== 'ok') {
      this.wrong = this.reason(answer);
      return null;
    }
    const found = read(answer.value);
    if (!(found instanceof Refused)) return found;
    this.wrong = this.shell.words!.text('truck.unread');
    return null;
  }

  /** A change: what it was answered, or null and `wrong`. */
  async act(path: string, body: unknown = {}): Promise<unknown> {
    if (this.isBusy) return null;
    this.isBusy = true;
    const answer = await post(path, body);
    this.isBusy = false;
    this.wrong = answer.kind === 'ok' ? '' : this.reason(answer);
    return answer.kind === 'ok' ? answer.value : null;
  }

  private reason(answer: Answer): string {
    const words = this.shell.words!;
    if (answer.kind === 'login') this.shell.live.isLoginDue = true;
    if (answer.kind !== 'refused') return words.text('error.unreachable');
    if (answer.code === 'narrowed' || answer.code === 'step_up') this.shell.proof = answer.code;
    for (const key of [`admin.error.${answer.code}`, `error.${answer.code}`]) if (words.has(key)) return words.text(key);
    return answer.detail || answer.code;
  }
}
