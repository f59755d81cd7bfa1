/** Why something was not done, in words, and what to do about it. */
import type { Words } from '../lib/words';
import type { Answer } from '../shell/client';

/** `cut` and the server's own sentence come as text. */
export function reasonOf(words: Words, wrong: Answer | string): string {
  if (typeof wrong === 'string') return words.has(`fence.wrong.${wrong}`) ? words.text(`fence.wrong.${wrong}`) : words.text('fence.wrong.broke', { why: wrong });
  switch (wrong.kind) {
    case 'unreachable':
      return words.text('error.unreachable');
    case 'login':
      return words.text('fence.wrong.login');
    case 'stale':
      return words.text('fence.wrong.stale');
    case 'ok':
      return '';
    case 'refused':
      for (const key of [`fence.wrong.${wrong.code}`, `fence.fault.${wrong.code.replaceAll('_', '-')}`, `error.${wrong.code}`]) if (words.has(key)) return words.text(key, { why: wrong.detail });
      return wrong.detail || wrong.code;
  }
}
