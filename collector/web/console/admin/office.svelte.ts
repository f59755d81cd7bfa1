/**
 * How an admin's part asks and acts. Law: every refusal becomes a sentence, and it stands until the same is asked again and answered;
 * of two answers to one question the newer question's counts.
 */
import { Refused } from '../lib/decode';
import { get, post } from '../shell/client';
import type { Answer } from '../shell/client';
import { reasonFor } from '../shell/reason';
import type { Shell } from '../shell/shell.svelte';

export class Office {
  /** Why the newest act was not done. */
  wrong = $state('');
  isBusy = $state(false);
  isAsking = $state(false);
  private lost = $state.raw<Readonly<Record<string, string>>>({});
  private readonly turns = new Map<string, number>();
  private asking = 0;
  /** The same wish bears the same key: who presses again because no answer came has done it once. */
  private wish = { of: '', key: '' };

  constructor(private readonly shell: Shell) {}

  /** All that there is to say of what went wrong. */
  readonly said = $derived([...new Set([this.wrong, ...Object.values(this.lost)])].filter(Boolean).join(' '));

  /** What the centre says, read; null: it did not, or it could not be read, or it was asked anew meanwhile. */
  async ask<T>(path: string, read: (value: unknown) => T | Refused): Promise<T | null> {
    const [name = path] = path.split('?');
    const turn = (this.turns.get(name) ?? 0) + 1;
    this.turns.set(name, turn);
    this.isAsking = (this.asking += 1) > 0;
    const answer = await get(path);
    this.isAsking = (this.asking -= 1) > 0;
    if (turn !== this.turns.get(name)) return null;
    const found = answer.kind === 'ok' ? read(answer.value) : null;
    const isRead = found !== null && !(found instanceof Refused);
    this.lost = { ...this.lost, [name]: isRead ? '' : answer.kind === 'ok' ? this.shell.words!.text('truck.unread') : this.reason(answer) };
    return isRead ? found : null;
  }

  /** A change: what it was answered, or null and `wrong`. */
  async act(path: string, body: unknown = {}): Promise<unknown> {
    if (this.isBusy) return null;
    const of = path + JSON.stringify(body);
    if (this.wish.of !== of) this.wish = { of, key: crypto.randomUUID() };
    this.isBusy = true;
    const answer = await post(path, body, { key: this.wish.key });
    this.isBusy = false;
    if (answer.kind !== 'unreachable') this.wish = { of: '', key: '' };
    this.wrong = answer.kind === 'ok' ? '' : this.reason(answer);
    return answer.kind === 'ok' ? answer.value : null;
  }

  private reason(answer: Answer): string {
    return reasonFor(this.shell, answer, (code) => `admin.error.${code}`);
  }
}
