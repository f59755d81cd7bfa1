/** Web Mercator, the whole world as a square of side 1. Law: double precision; Float32 is made relative to a centre. */

export interface Point {
  readonly x: number;
  readonly y: number;
}

export function mercator(lon: number, lat: number): Point {
  const turn = (lat * Math.PI) / 180;
  return { x: (lon + 180) / 360, y: 0.5 - Math.log(Math.tan(Math.PI / 4 + turn / 2)) / (2 * Math.PI) };
}

/** `matrix` after a shift to `centre`, in doubles: what is drawn may then be small numbers. Column-major, as WebGL has it. */
export function shifted(matrix: ArrayLike<number>, { x, y }: Point): Float32Array {
  const to = Float64Array.from(matrix);
  for (let row = 0; row < 4; row += 1) to[12 + row] = to[row]! * x + to[4 + row]! * y + to[12 + row]!;
  return Float32Array.from(to);
}
