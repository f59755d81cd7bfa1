import { describe, expect, it } from 'vitest';
import { Draft } from './draft.svelte';
import { emptyShape } from './shape';

describe('a draft', () => {
  it('that was thrown away comes back with undo, over the version that was seen', () => {
    const draft = new Draft('test');
    draft.stand(3);
    draft.add([emptyShape('yard', 'circle')]);
    draft.discard();
    draft.stand(5);
    expect([draft.isEmpty, draft.base]).toEqual([true, 5]);
    draft.undo();
    expect([draft.shapes.map(({ id }) => id), draft.base]).toEqual([['yard'], 3]);
  });

  it('does not follow a newer version while something stands in it', () => {
    const draft = new Draft('test');
    draft.stand(1);
    draft.takeAway('yard');
    draft.stand(2);
    expect(draft.base).toBe(1);
    draft.rebase(2);
    expect(draft.base).toBe(2);
    draft.undo();
    expect(draft.base).toBe(1);
  });

  it('that became a proposal is over', () => {
    const draft = new Draft('test');
    draft.add([emptyShape('yard', 'line')]);
    draft.clear();
    expect([draft.isEmpty, draft.canUndo]).toEqual([true, false]);
  });
});
