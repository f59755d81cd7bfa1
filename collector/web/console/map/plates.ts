/**
 * Plates beside the shapes, over all the dots: whom an alarm is of can be read also where trucks stand close.
 * Law: the gravest first, none over another, and nothing is written again that stands where it stood.
 */
import { textPx } from './colours';
import type { Palette } from './colours';
import type { Mark } from './marks';
import { mercator } from './mercator';
import type { Point, Sight } from './mercator';

const FAMILY = '"Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';
const LINE_PX = 16; // of text of 13
const BESIDE_PX = 16; // from the middle of the shape
const HALO_PX = 3;

export interface Place {
  readonly x: number;
  readonly y: number;
  readonly wide: number;
}

/** Which of these lines of text find room, by their places in the list: the first before the later ones, and only what is in sight. */
export function withRoom(places: readonly Place[], width: number, height: number, linePx = LINE_PX): number[] {
  const found: number[] = [];
  const rows = new Map<number, Place[]>(); // of text that touches a band of a line's height
  places.forEach((one, i) => {
    if (one.x > width || one.x + one.wide < 0 || one.y < -linePx || one.y > height + linePx) return;
    const row = Math.floor(one.y / linePx);
    const near = [row - 1, row, row + 1].flatMap((at) => rows.get(at) ?? []);
    if (near.some((other) => Math.abs(other.y - one.y) < linePx && other.x < one.x + one.wide && one.x < other.x + other.wide)) return;
    rows.set(row, [...(rows.get(row) ?? []), one]);
    found.push(i);
  });
  return found;
}

export class Plates {
  readonly canvas = document.createElement('canvas');
  private readonly to = this.canvas.getContext('2d')!;
  private readonly wide = new Map<string, number>();
  private marks: readonly (Mark & { readonly at: Point })[] = [];
  private written = '';
  private readonly px = textPx();
  private readonly font = `${this.px}px ${FAMILY}`;

  constructor(private colours: Palette) {
    this.canvas.className = 'overlay';
    this.canvas.setAttribute('aria-hidden', 'true'); // the list says it
  }

  show(marks: readonly Mark[]): void {
    this.marks = marks.map((mark) => ({ ...mark, at: mercator(mark.lon, mark.lat) }));
  }

  recolour(colours: Palette): void {
    this.colours = colours;
    this.written = '';
  }

  draw({ centre, world, width, height }: Sight): void {
    const places = this.marks.map(({ at, plate }) => ({
      x: Math.round(width / 2 + (at.x - centre.x) * world) + BESIDE_PX,
      y: Math.round(height / 2 + (at.y - centre.y) * world),
      wide: this.widthOf(plate),
    }));
    const shown = withRoom(places, width, height, Math.ceil(this.px * (LINE_PX / 13)));
    const ratio = devicePixelRatio;
    const key = [width, height, ratio, ...shown.map((i) => `${this.marks[i]!.plate} ${places[i]!.x} ${places[i]!.y}`)].join(';');
    if (key === this.written) return;
    this.written = key;
    const { to, canvas, colours } = this;
    [canvas.width, canvas.height] = [width * ratio, height * ratio]; // and it is empty
    to.scale(ratio, ratio);
    to.font = this.font;
    to.textBaseline = 'middle';
    to.lineJoin = 'round';
    to.lineWidth = HALO_PX;
    to.strokeStyle = colours.ground;
    to.fillStyle = colours.text;
    for (const i of shown.toReversed()) {
      const [{ plate }, { x, y }] = [this.marks[i]!, places[i]!];
      to.strokeText(plate, x, y);
      to.fillText(plate, x, y);
    }
  }

  private widthOf(plate: string): number {
    let wide = this.wide.get(plate);
    if (wide === undefined) {
      this.to.font = this.font;
      if (this.wide.size > 5_000) this.wide.clear();
      this.wide.set(plate, (wide = this.to.measureText(plate).width));
    }
    return wide;
  }
}
