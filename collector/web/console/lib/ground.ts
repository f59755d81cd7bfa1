/** Metres on the ground, near enough for the eye. Law: no rule reads them; what is judged is judged by the server. */

export type Position = readonly [lon: number, lat: number];

const EARTH_M = 6_371_009;
const CORNERS = 128; // as the server draws a circle
const BEND_CORNERS = 32; // of a disc that is seen at its rim alone

export function metresBetween(a: Position, b: Position): number {
  const [lat1, lat2] = [radians(a[1]), radians(b[1])];
  const h = Math.sin((lat2 - lat1) / 2) ** 2 + Math.cos(lat1) * Math.cos(lat2) * Math.sin(radians(b[0] - a[0]) / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** A closed ring around a place. */
export function circleOf([lon, lat]: Position, radiusM: number, corners = CORNERS): Position[] {
  const [east, north] = degreesOf(radiusM, lat);
  return Array.from({ length: corners + 1 }, (_, n) => {
    const turn = (2 * Math.PI * (n % corners)) / corners;
    return [lon + east * Math.cos(turn), lat + north * Math.sin(turn)];
  });
}

/** The ground within `halfM` of a line, as closed rings that lie over one another: each stretch of it, and a disc at each place. */
export function bandOf(points: readonly Position[], halfM: number): Position[][] {
  const stretches = points.flatMap((a, n): Position[][] => {
    const b = points[n + 1];
    if (b === undefined) return [];
    const [east, north] = degreesOf(halfM, (a[1] + b[1]) / 2);
    const [x, y] = [(b[0] - a[0]) / east, (b[1] - a[1]) / north]; // in half widths: the same to all sides
    const length = Math.hypot(x, y);
    if (length === 0) return [];
    const [dx, dy] = [(-y / length) * east, (x / length) * north];
    const corner = ([lon, lat]: Position, side: number): Position => [lon + side * dx, lat + side * dy];
    return [[corner(a, 1), corner(a, -1), corner(b, -1), corner(b, 1), corner(a, 1)]];
  });
  return [...stretches, ...points.map((place) => circleOf(place, halfM, BEND_CORNERS))];
}

/** West, south, east, north; null of nothing. */
export function boundsOf(positions: Iterable<Position>): [number, number, number, number] | null {
  let [west, south, east, north] = [180, 90, -180, -90];
  for (const [lon, lat] of positions) {
    [west, east] = [Math.min(west, lon), Math.max(east, lon)];
    [south, north] = [Math.min(south, lat), Math.max(north, lat)];
  }
  return west > east ? null : [west, south, east, north];
}

/** How many degrees to the east and to the north a length is. */
function degreesOf(lengthM: number, lat: number): [east: number, north: number] {
  const north = (lengthM / EARTH_M) * (180 / Math.PI);
  return [north / Math.max(0.01, Math.cos(radians(lat))), north];
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
