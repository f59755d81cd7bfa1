import { expect, test } from 'vitest';
import { withRoom } from './plates';

const at = (x: number, y: number, wide = 80) => ({ x, y, wide });

test('of plates that lie over one another the graver one is written', () => {
  expect(withRoom([at(10, 100), at(50, 105), at(95, 100), at(10, 117)], 800, 600)).toEqual([0, 2, 3]);
});

test('what is out of sight takes no room', () => {
  expect(withRoom([at(900, 10), at(-100, 10), at(10, 700), at(10, 10)], 800, 600)).toEqual([3]);
});

test('however many there are, none lies over another, and none that fits is left away', () => {
  let seed = 17;
  const chance = (most: number): number => (seed = (seed * 48_271) % 2_147_483_647) % most;
  const places = Array.from({ length: 500 }, () => at(chance(800), chance(600), 40 + chance(60)));
  const shown = withRoom(places, 800, 600);
  const isOver = (a: number, b: number) => {
    const [one, other] = [places[a]!, places[b]!];
    return Math.abs(one.y - other.y) < 16 && one.x < other.x + other.wide && other.x < one.x + one.wide;
  };
  for (const a of shown) for (const b of shown) expect(a !== b && isOver(a, b)).toBe(false);
  for (let i = 0; i < places.length; i += 1) if (!shown.includes(i)) expect(shown.some((one) => one < i && isOver(one, i))).toBe(true);
});
