/** Web Mercator, the whole world as a square of side 1. Law: double precision; Float32 is made relative to a centre. */

export const WORLD_PX = 512; // the square's side at zoom 0

export interface Point {
  readonly x: number;
  readonly y: number;
}

export function mercator(lon: number, lat: number): Point {
  const turn = (lat * Math.PI) / 180;
  return { x: (lon + 180) / 360, y: 0.5 - Math.log(Math.tan(Math.PI / 4 + turn / 2)) / (2 * Math.PI) };
}

/** What is in sight: the middle, the world's side in pixels, and the picture's size. */
export interface Sight {
  readonly centre: Point;
  readonly world: number;
  readonly width: number;
  readonly height: number;
}

/**
 * The matrix to clip space of what is in sight. What is drawn is relative to `origin`, and so small: a Float32 of the whole square is 2.4 m coarse.
 * Column-major, as WebGL has it.
 */
export function clipOf({ centre, world, width, height }: Sight, origin: Point): Float32Array {
  const [right, up] = [(2 * world) / width, (-2 * world) / height];
  return Float32Array.of(right, 0, 0, 0, 0, up, 0, 0, 0, 0, 1, 0, right * (origin.x - centre.x), up * (origin.y - centre.y), 0, 1);
}
