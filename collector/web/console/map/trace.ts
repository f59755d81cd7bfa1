/**
 * One unit's way on the map: its fixes as a line, gaps as dashed chords with their length in time, the plan, and the cursor.
 * Law: nothing is smoothed or joined. Inside a gap the cursor is hollow: it stands where the unit was last seen.
 */
import type { LayerSpecification } from 'maplibre-gl';
import { gaps, lines } from '../lib/way';
import type { Way } from '../lib/way';
import { FONT, NOTHING } from './basemap';
import { palette } from './colours';
import type { Palette } from './colours';
import { Frame, boxOf } from './frame';
import type { Look } from './frame';

export interface Cursor {
  readonly lon: number;
  readonly lat: number;
  readonly isOld: boolean;
}

export class Trace {
  readonly frame: Frame;

  constructor(box: HTMLElement, look: Look) {
    this.frame = new Frame(box, look, null, (map) => {
      for (const name of ['trace', 'cursor']) map.addSource(name, { type: 'geojson', data: NOTHING });
      for (const layer of layersOf(palette())) map.addLayer(layer);
    });
  }

  /** `label` says how long a gap is. */
  show(way: Way, label: (seconds: number) => string): void {
    const features: GeoJSON.Feature[] = lines(way).map((line) =>
      line.length > 1
        ? { type: 'Feature', geometry: { type: 'LineString', coordinates: line }, properties: { kind: 'way' } }
        : { type: 'Feature', geometry: { type: 'Point', coordinates: line[0]! }, properties: { kind: 'lone' } },
    );
    for (const gap of gaps(way)) {
      features.push({
        type: 'Feature',
        geometry: { type: 'LineString', coordinates: [[...gap.from], [...gap.to]] },
        properties: { kind: 'gap', label: label((gap.endMs - gap.beginMs) / 1_000) },
      });
    }
    this.frame.put('trace', { type: 'FeatureCollection', features });
  }

  point(cursor: Cursor | null, isFollowed: boolean): void {
    const features: GeoJSON.Feature[] =
      cursor === null ? [] : [{ type: 'Feature', geometry: { type: 'Point', coordinates: [cursor.lon, cursor.lat] }, properties: { old: cursor.isOld } }];
    this.frame.put('cursor', { type: 'FeatureCollection', features });
    if (cursor !== null && isFollowed) this.frame.map.jumpTo({ center: [cursor.lon, cursor.lat] });
  }

  /** All of the way into view. */
  fit(way: Way): void {
    this.frame.fit(boxOf(way.n, way.lonE6, way.latE6), 40, 14);
  }
}

function layersOf(colours: Palette): LayerSpecification[] {
  return [
    { id: 'gaps', type: 'line', source: 'trace', filter: ['==', ['get', 'kind'], 'gap'], paint: { 'line-color': colours.text, 'line-width': 2, 'line-dasharray': [2, 3] } },
    { id: 'way', type: 'line', source: 'trace', filter: ['==', ['get', 'kind'], 'way'], paint: { 'line-color': colours.text, 'line-width': 3 } },
    { id: 'lone', type: 'circle', source: 'trace', filter: ['==', ['get', 'kind'], 'lone'], paint: { 'circle-color': colours.text, 'circle-radius': 3 } },
    {
      id: 'gap-labels', type: 'symbol', source: 'trace', filter: ['==', ['get', 'kind'], 'gap'],
      layout: { 'symbol-placement': 'line-center', 'text-field': ['get', 'label'], 'text-font': FONT, 'text-size': 13, 'text-offset': [0, -1], 'text-allow-overlap': true },
      paint: { 'text-color': colours.text, 'text-halo-color': colours.panel, 'text-halo-width': 2 },
    },
    {
      id: 'cursor', type: 'circle', source: 'cursor',
      paint: { 'circle-radius': 8, 'circle-color': colours.select, 'circle-opacity': ['case', ['get', 'old'], 0, 1], 'circle-stroke-color': colours.select, 'circle-stroke-width': 3 },
    },
  ];
}
