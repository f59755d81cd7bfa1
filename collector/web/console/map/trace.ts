/**
 * One unit's way on the map: its fixes as a line, gaps as dashed chords with their length in time, the plan, and the cursor.
 * Law: as in picture.ts; nothing is smoothed or joined. Inside a gap the cursor is hollow: it stands where the unit was last seen.
 */
import { Map as GlMap, NavigationControl, ScaleControl } from 'maplibre-gl';
import type { GeoJSONSource, LayerSpecification } from 'maplibre-gl';
import type { Town } from '../lib/place';
import { gaps, lines } from '../lib/way';
import type { Way } from '../lib/way';
import type { Language } from '../lib/words';
import { BOUNDS, styleOf } from './basemap';
import { palette } from './colours';
import type { Palette } from './colours';
import './engine';

const FONT = ['Segoe UI', 'Roboto', 'Noto Sans', 'DejaVu Sans', 'sans-serif'];
const NOTHING: GeoJSON.FeatureCollection = { type: 'FeatureCollection', features: [] };

export interface Cursor {
  readonly lon: number;
  readonly lat: number;
  readonly isOld: boolean;
}

export class Trace {
  private readonly map: GlMap;
  private readonly watcher: ResizeObserver;
  private isReady = false;
  private trace = NOTHING;
  private cursor = NOTHING;
  private shapes = NOTHING;

  constructor(box: HTMLElement, look: { towns: readonly Town[]; language: Language; isDim: boolean }) {
    const colours = palette();
    this.map = new GlMap({
      container: box,
      style: styleOf(colours, look.towns, look.language, look.isDim),
      attributionControl: false, // as in picture.ts
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      maxZoom: 18,
      minZoom: 3,
      bounds: BOUNDS,
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.addControl(new NavigationControl({ showCompass: false }), 'bottom-right');
    this.map.addControl(new ScaleControl({}), 'bottom-left');
    this.map.on('style.load', () => this.dress());
    this.watcher = new ResizeObserver(() => this.map.resize());
    this.watcher.observe(box);
  }

  end(): void {
    this.watcher.disconnect();
    this.map.remove();
  }

  redress(look: { towns: readonly Town[]; language: Language; isDim: boolean }): void {
    this.isReady = false;
    this.map.setStyle(styleOf(palette(), look.towns, look.language, look.isDim), { diff: false });
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
    this.trace = { type: 'FeatureCollection', features };
    this.source('trace')?.setData(this.trace);
  }

  showShapes(shapes: GeoJSON.FeatureCollection): void {
    this.shapes = shapes;
    this.source('shapes')?.setData(shapes);
  }

  point(cursor: Cursor | null, isFollowed: boolean): void {
    const features: GeoJSON.Feature[] =
      cursor === null ? [] : [{ type: 'Feature', geometry: { type: 'Point', coordinates: [cursor.lon, cursor.lat] }, properties: { old: cursor.isOld } }];
    this.cursor = { type: 'FeatureCollection', features };
    this.source('cursor')?.setData(this.cursor);
    if (cursor !== null && isFollowed) this.map.jumpTo({ center: [cursor.lon, cursor.lat] });
  }

  /** All of the way into view. */
  fit(way: Way): void {
    if (way.n === 0) return;
    let [west, south, east, north] = [180, 90, -180, -90];
    for (let i = 0; i < way.n; i += 1) {
      const [lon, lat] = [way.lonE6[i]! / 1e6, way.latE6[i]! / 1e6];
      [west, east] = [Math.min(west, lon), Math.max(east, lon)];
      [south, north] = [Math.min(south, lat), Math.max(north, lat)];
    }
    this.map.fitBounds([west, south, east, north], { padding: 40, maxZoom: 14, animate: false });
  }

  private dress(): void {
    for (const name of ['trace', 'cursor']) this.map.addSource(name, { type: 'geojson', data: NOTHING });
    for (const layer of layersOf(palette())) this.map.addLayer(layer);
    this.isReady = true;
    this.source('shapes')?.setData(this.shapes);
    this.source('trace')?.setData(this.trace);
    this.source('cursor')?.setData(this.cursor);
  }

  private source(name: string): GeoJSONSource | undefined {
    return this.isReady ? this.map.getSource<GeoJSONSource>(name) : undefined;
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
