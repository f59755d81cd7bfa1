/** Why the centre did not do or say what was asked, in words; and whatever it wants to know first is asked for. */
import type { Answer } from './client';
import type { Shell } from './shell.svelte';

/** `own`: a screen's own key for a code, before the one that all share. */
export function reasonFor(shell: Shell, answer: Answer, own?: (code: string) => string): string {
  const words = shell.words!;
  if (answer.kind === 'ok') return '';
  if (answer.kind === 'login') shell.live.isLoginDue = true;
  if (answer.kind !== 'refused') return words.text('error.unreachable');
  if (answer.code === 'narrowed' || answer.code === 'step_up') shell.proof = answer.code;
  for (const key of [own?.(answer.code) ?? '', `error.${answer.code}`]) if (words.has(key)) return words.text(key);
  return answer.status === 429 ? words.text('error.slow') : answer.detail || answer.code;
}
