/** The palette as the map and its canvas need it. Law: colours are read from tokens.css, none is written here. */

export const NAMES = ['ground', 'panel', 'text', 'muted', 'unit', 'line', 'p1', 'p2', 'p3', 'p4', 'select', 'on'] as const;
export type Palette = Readonly<Record<(typeof NAMES)[number], string>>;

export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()])) as Palette;
}

/** How tall the names on a map are: on a wall taller. */
export function textPx(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).getPropertyValue('--size-map')) || 13;
}

/** `#rrggbb` as red, green, blue of 0 to 1. */
export function channels(colour: string): readonly [number, number, number] {
  const n = Number.parseInt(colour.slice(1), 16);
  return [((n >> 16) & 255) / 255, ((n >> 8) & 255) / 255, (n & 255) / 255];
}
