import { describe, expect, it } from 'vitest';
import { Anew, HELD_MAX } from './anew';
import type { Part } from './anew';
import type { News } from './words';

function news(data: string): News {
  return { kind: 'event', name: 'alert', data, id: '', ageMs: 0 };
}

/** Readings that a test lets come to their end. */
function desk() {
  const read: string[] = [];
  const heard: string[] = [];
  const later: (() => void)[] = [];
  const ends: ((isDone: boolean) => void)[] = [];
  const anew: Anew = new Anew(
    (parts: ReadonlySet<Part>) => {
      read.push([...parts].sort().join(' '));
      return new Promise((resolve) => ends.push(resolve));
    },
    (one) => {
      if (one.kind !== 'event') return;
      heard.push(one.data);
      if (one.data === 'reload') void anew.want('alerts');
    },
    (act) => later.push(act),
  );
  const end = async (isDone: boolean) => {
    ends.shift()!(isDone);
    await new Promise((resolve) => setTimeout(resolve));
  };
  return { anew, read, heard, later, end };
}

describe('reading anew', () => {
  it('lets news pass while nothing is read', () => {
    expect(desk().anew.holds(news('a'))).toBe(false);
  });

  it('keeps what comes meanwhile, and has it heard behind what was read, in its order', async () => {
    const { anew, read, heard, end } = desk();
    void anew.want('alerts');
    expect([anew.holds(news('a')), anew.holds(news('b'))]).toEqual([true, true]);
    expect(heard).toEqual([]);
    await end(true);
    expect(read).toEqual(['alerts']);
    expect(heard).toEqual(['a', 'b']);
    expect(anew.holds(news('c'))).toBe(false);
  });

  it('reads one after the other: of two at once the older could be the last', async () => {
    const { anew, read, end } = desk();
    void anew.want('alerts');
    void anew.want('units', 'alerts');
    expect(read).toEqual(['alerts']);
    await end(true);
    expect(read).toEqual(['alerts', 'alerts units']);
    await end(true);
  });

  it('has what waited behind a new reading wait for that too', async () => {
    const { anew, read, heard, end } = desk();
    void anew.want('units');
    anew.holds(news('reload'));
    anew.holds(news('behind'));
    await end(true);
    expect(heard).toEqual(['reload']);
    expect(read).toEqual(['units', 'alerts']);
    await end(true);
    expect(heard).toEqual(['reload', 'behind']);
  });

  it('tries again what did not come, and keeps no news back for it', async () => {
    const { anew, read, heard, later, end } = desk();
    void anew.want('alerts');
    anew.holds(news('a'));
    await end(false);
    expect(heard).toEqual(['a']);
    expect(later).toHaveLength(1);
    later[0]!();
    expect(read).toEqual(['alerts', 'alerts']);
    await end(true);
    expect(later).toHaveLength(1);
  });

  it('reads everything once more when too much has waited', async () => {
    const { anew, read, heard, end } = desk();
    void anew.want('alerts');
    for (let at = 0; at <= HELD_MAX; at += 1) anew.holds(news(String(at)));
    anew.holds(news('late'));
    await end(true);
    expect(read).toEqual(['alerts', 'alerts units']);
    await end(true);
    expect(heard).toEqual(['late']);
  });
});
