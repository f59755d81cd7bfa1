/** Where a value stands in a chart. Law: a chart begins at nought, and its limit lines are always on it. */

/** The top of the scale: all values and limits, with air above. */
export function topOf(values: readonly number[], limits: readonly number[]): number {
  return 1.15 * Math.max(...limits, ...values, 1e-9);
}

/** The share of the scale that a value takes, 0 to 1. */
export function shareOf(value: number, top: number): number {
  return Math.min(1, Math.max(0, value / top));
}

/** Which of `n` bars bear a word below, `most` at most, evenly and from the first on. */
export function labelled(n: number, most: number): readonly number[] {
  const step = Math.max(1, Math.ceil(n / most));
  return Array.from({ length: Math.ceil(n / step) }, (_, i) => i * step);
}
