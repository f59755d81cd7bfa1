/** Metres on the ground, near enough for the eye. Law: no rule reads them; what is judged is judged by the server. */

export type Position = readonly [lon: number, lat: number];

const EARTH_M = 6_371_009;
const CORNERS = 128; // as the server draws a circle

export function metresBetween(a: Position, b: Position): number {
  const [lat1, lat2] = [radians(a[1]), radians(b[1])];
  const h = Math.sin((lat2 - lat1) / 2) ** 2 + Math.cos(lat1) * Math.cos(lat2) * Math.sin(radians(b[0] - a[0]) / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** A closed ring around a place. */
export function circleOf([lon, lat]: Position, radiusM: number): Position[] {
  const north = (radiusM / EARTH_M) * (180 / Math.PI);
  const east = north / Math.max(0.01, Math.cos(radians(lat)));
  return Array.from({ length: CORNERS + 1 }, (_, n) => {
    const turn = (2 * Math.PI * (n % CORNERS)) / CORNERS;
    return [lon + east * Math.cos(turn), lat + north * Math.sin(turn)];
  });
}

/** How wide a line of `widthM` is on the screen at zoom 0; each zoom doubles it. */
export function pixelsAtZoom0(widthM: number, lat: number): number {
  return (widthM * 512) / (2 * Math.PI * EARTH_M * Math.max(0.01, Math.cos(radians(lat))));
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

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
