/**
 * Which rows of a long list stand in the document: those that can be seen, and a few beyond.
 * Law: pure; all rows are of one height; what the eye rests on stays where it is.
 */

export const SPARE_ROWS = 8; // beyond each edge: as many as a quick turn of the wheel passes in a frame
const STEP_ROWS = 4; // the piece moves by so many, so that a slow scroll does not remake it with every pixel

/** Pixels. `headPx`: what stands above the first row inside the same box; `stickyPx`: what covers the box's upper edge. */
export interface Sight {
  readonly count: number;
  readonly rowPx: number;
  readonly headPx: number;
  readonly stickyPx: number;
  readonly scrollPx: number;
  readonly boxPx: number;
}

export interface Piece {
  readonly from: number;
  readonly to: number;
  readonly beforePx: number;
  readonly afterPx: number;
}

export function pieceOf({ count, rowPx, headPx, scrollPx, boxPx }: Sight): Piece {
  const first = Math.floor((scrollPx - headPx) / rowPx / STEP_ROWS) * STEP_ROWS;
  const from = Math.min(Math.max(first - SPARE_ROWS, 0), count);
  const to = Math.min(Math.max(first + Math.ceil(boxPx / rowPx) + STEP_ROWS + SPARE_ROWS, from), count);
  return { from, to, beforePx: from * rowPx, afterPx: (count - to) * rowPx };
}

/** Where to scroll so that a row can be seen whole; as it is, if it can. */
export function revealed(row: number, { rowPx, headPx, stickyPx, scrollPx, boxPx }: Sight): number {
  const top = headPx + row * rowPx;
  if (top < scrollPx + stickyPx) return top - stickyPx;
  return Math.max(scrollPx, top + rowPx - boxPx);
}

/** The first row that can be seen. */
export function topRow({ rowPx, headPx, stickyPx, scrollPx }: Sight): number {
  return Math.max(Math.floor((scrollPx + stickyPx - headPx) / rowPx), 0);
}
