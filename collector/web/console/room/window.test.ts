import { describe, expect, it } from 'vitest';
import { SPARE_ROWS, pieceOf, revealed, topRow } from './window';
import type { Sight } from './window';

const look = (more: Partial<Sight> = {}): Sight => ({ count: 5_000, rowPx: 32, headPx: 0, stickyPx: 0, scrollPx: 0, boxPx: 320, ...more });

describe('a long list', () => {
  it('has few rows in the document, wherever one looks', () => {
    for (const scrollPx of [0, 31, 32, 80_000, 5_000 * 32 - 320]) {
      const { from, to } = pieceOf(look({ scrollPx }));
      expect(to - from).toBeLessThanOrEqual(10 + 4 + 2 * SPARE_ROWS);
    }
  });

  it('has every row there that can be seen', () => {
    for (let scrollPx = 0; scrollPx <= 2_000; scrollPx += 7) {
      const { from, to } = pieceOf(look({ scrollPx, headPx: 100 }));
      expect(from * 32 + 100).toBeLessThanOrEqual(Math.max(scrollPx, 100));
      expect(to * 32 + 100).toBeGreaterThanOrEqual(scrollPx + 320);
    }
  });

  it('is as high as all of its rows', () => {
    for (const scrollPx of [0, 500, 150_000, 999_999]) {
      const { from, to, beforePx, afterPx } = pieceOf(look({ scrollPx }));
      expect(beforePx + (to - from) * 32 + afterPx).toBe(5_000 * 32);
    }
  });

  it('that is short stands there whole, and an empty one not at all', () => {
    expect(pieceOf(look({ count: 7 }))).toEqual({ from: 0, to: 7, beforePx: 0, afterPx: 0 });
    expect(pieceOf(look({ count: 0 }))).toEqual({ from: 0, to: 0, beforePx: 0, afterPx: 0 });
  });

  it('scrolls no farther than to show a row whole, under the band above it', () => {
    expect(revealed(3, look())).toBe(0);
    expect(revealed(10, look())).toBe(32);
    expect(revealed(2, look({ scrollPx: 640, stickyPx: 64, headPx: 64 }))).toBe(64);
    expect(revealed(20, look({ scrollPx: 640 }))).toBe(640);
  });

  it('knows which row is uppermost', () => {
    expect(topRow(look({ scrollPx: 640 }))).toBe(20);
    expect(topRow(look({ scrollPx: 640, headPx: 320, stickyPx: 64 }))).toBe(12);
    expect(topRow(look({ headPx: 320 }))).toBe(0);
  });
});
