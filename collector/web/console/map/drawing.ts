/**
 * Shapes on the map, and one of them under the hand: what is in force, what is drafted, its corners, and where alarms would have been.
 * Law: it tells where was pressed and dragged, and changes no shape by itself.
 */
import type { LayerSpecification, Map as GlMap, MapMouseEvent, PointLike } from 'maplibre-gl';
import { bandOf } from '../lib/ground';
import type { Position } from '../lib/ground';
import { FONT, NOTHING } from './basemap';
import { palette } from './colours';
import type { Palette } from './colours';
import { Frame } from './frame';
import type { Look, View } from './frame';

const REACH_PX = 8;
const SOURCES = ['force', 'draft', 'handles', 'spots'] as const;
const MIDDLES_MAX = 500; // of a border of thousands of corners only the corners are shown

/** A shape as it is drawn: `widthM` of a corridor, 0 else. */
export interface Outline {
  readonly id: string;
  readonly geometry: GeoJSON.Geometry;
  readonly widthM: number;
  readonly isChosen: boolean;
}

export interface Handles {
  readonly points: readonly Position[];
  readonly chosen: number;
  readonly isClosed: boolean;
}

export interface Spot {
  readonly lon: number;
  readonly lat: number;
  readonly mark: 'new' | 'both' | 'gone';
  readonly isChosen: boolean;
}

export interface Told {
  /** It can be drawn on from now on. */
  ready(): void;
  /** A press beside every corner; `ids`: the shapes under it. */
  pressed(place: Position, ids: readonly string[]): void;
  grabbed(vertex: number): void;
  /** A press between two corners. */
  split(after: number, place: Position): void;
  dragged(vertex: number, place: Position, isDone: boolean): void;
  moved(view: View): void;
}

export class Drawing {
  readonly frame: Frame;
  private readonly map: GlMap;
  private isReady = false;
  private isAiming = false;
  private held: { vertex: number; isDragged: boolean } | null = null;

  constructor(
    box: HTMLElement,
    look: Look,
    view: View | null,
    private readonly told: Told,
  ) {
    this.frame = new Frame(box, look, view, (map) => {
      for (const name of SOURCES) map.addSource(name, { type: 'geojson', data: NOTHING });
      for (const layer of layersOf(palette())) map.addLayer(layer);
      this.isReady = true;
      this.told.ready();
    });
    this.map = this.frame.map;
    this.map.doubleClickZoom.disable(); // two corners close together are no wish to come nearer
    this.map.on('mousedown', (event) => this.press(event));
    this.map.on('mousemove', (event) => this.drag(event));
    this.map.on('click', (event) => this.click(event));
    this.map.on('moveend', () => {
      const { lng, lat } = this.map.getCenter();
      this.told.moved({ lon: lng, lat, zoom: this.map.getZoom() });
    });
    window.addEventListener('mouseup', this.release);
    this.map.on('remove', () => window.removeEventListener('mouseup', this.release));
  }

  /** Whether a press sets a corner. */
  aim(isAiming: boolean): void {
    this.isAiming = isAiming;
    this.map.getCanvas().style.cursor = isAiming ? 'crosshair' : '';
  }

  showForce(outlines: readonly Outline[]): void {
    this.frame.put('force', outlined(outlines));
  }

  showDraft(outlines: readonly Outline[]): void {
    this.frame.put('draft', outlined(outlines));
  }

  showHandles({ points, chosen, isClosed }: Handles): void {
    const corners: GeoJSON.Feature[] = points.map(([lon, lat], n) => spot(lon, lat, { n, is: n === chosen ? 'chosen' : 'corner' }));
    const middles: GeoJSON.Feature[] = points.length > MIDDLES_MAX ? [] : points.flatMap((a, n) => {
      const b = points[n + 1] ?? (isClosed && points.length > 2 ? points[0] : undefined);
      return b === undefined ? [] : [spot((a[0] + b[0]) / 2, (a[1] + b[1]) / 2, { n, is: 'middle' })];
    });
    this.frame.put('handles', { type: 'FeatureCollection', features: [...middles, ...corners] });
  }

  showSpots(spots: readonly Spot[]): void {
    this.frame.put('spots', { type: 'FeatureCollection', features: spots.map(({ lon, lat, mark, isChosen }) => spot(lon, lat, { mark, chosen: isChosen })) });
  }

  fit([west, south, east, north]: readonly [number, number, number, number]): void {
    this.frame.fit({ west, south, east, north }, 60, 15);
  }

  /** The corner or the middle within reach. */
  private under(point: { readonly x: number; readonly y: number }): { n: number; is: string } | null {
    if (!this.isDrawn) return null;
    const box: [PointLike, PointLike] = [[point.x - REACH_PX, point.y - REACH_PX], [point.x + REACH_PX, point.y + REACH_PX]];
    const found = this.map.queryRenderedFeatures(box, { layers: ['handles'] }).map(({ properties }) => ({ n: Number(properties['n']), is: String(properties['is']) }));
    return found.find(({ is }) => is !== 'middle') ?? found[0] ?? null;
  }

  /** Not while the map changes its dress: what lies where cannot be asked then. */
  private get isDrawn(): boolean {
    return this.isReady && this.map.getLayer('handles') !== undefined;
  }

  private press(event: MapMouseEvent): void {
    const handle = this.under(event.point);
    if (handle === null || event.originalEvent.button !== 0) return;
    event.preventDefault(); // the map stays where it is
    if (handle.is === 'middle') this.told.split(handle.n, [event.lngLat.lng, event.lngLat.lat]);
    else this.told.grabbed(handle.n);
    this.held = { vertex: handle.is === 'middle' ? handle.n + 1 : handle.n, isDragged: false };
  }

  private drag(event: MapMouseEvent): void {
    if (this.held === null) {
      if (this.isDrawn) this.map.getCanvas().style.cursor = this.under(event.point) !== null ? 'move' : this.isAiming ? 'crosshair' : '';
      return;
    }
    this.held.isDragged = true;
    this.told.dragged(this.held.vertex, [event.lngLat.lng, event.lngLat.lat], false);
  }

  private readonly release = (event: MouseEvent): void => {
    const { held } = this;
    this.held = null;
    if (held === null || !held.isDragged) return;
    const box = this.map.getCanvas().getBoundingClientRect();
    const { lng, lat } = this.map.unproject([event.clientX - box.left, event.clientY - box.top]);
    this.told.dragged(held.vertex, [lng, lat], true);
  };

  private click(event: MapMouseEvent): void {
    if (this.under(event.point) !== null || !this.isDrawn) return;
    const box: [PointLike, PointLike] = [[event.point.x - REACH_PX, event.point.y - REACH_PX], [event.point.x + REACH_PX, event.point.y + REACH_PX]];
    const under = this.map.queryRenderedFeatures(box, { layers: ['force-fill', 'force-line', 'force-route'] });
    this.told.pressed([event.lngLat.lng, event.lngLat.lat], [...new Set(under.map(({ properties }) => String(properties['id'])))]);
  }
}

function spot(lon: number, lat: number, properties: GeoJSON.GeoJsonProperties): GeoJSON.Feature {
  return { type: 'Feature', geometry: { type: 'Point', coordinates: [lon, lat] }, properties };
}

/** A zone is its ground and, by itself, its edge: the map leaves away a ring that encloses nothing, as one that crosses itself may. */
function outlined(outlines: readonly Outline[]): GeoJSON.FeatureCollection {
  return {
    type: 'FeatureCollection',
    features: outlines.flatMap(({ id, geometry, widthM, isChosen }): GeoJSON.Feature[] => {
      const told = { id, chosen: isChosen };
      if (geometry.type === 'LineString') {
        const band = bandOf(geometry.coordinates as [number, number][], widthM / 2).map((ring) => ring.map(([lon, lat]) => [lon, lat]));
        return [
          ...band.map((ring): GeoJSON.Feature => ({ type: 'Feature', geometry: { type: 'Polygon', coordinates: [ring] }, properties: { ...told, is: 'band' } })),
          { type: 'Feature', geometry, properties: { ...told, is: 'route' } },
        ];
      }
      const rings = geometry.type === 'Polygon' ? geometry.coordinates : geometry.type === 'MultiPolygon' ? geometry.coordinates.flat() : [];
      return [
        { type: 'Feature', geometry, properties: { ...told, is: 'ground' } },
        { type: 'Feature', geometry: { type: 'MultiLineString', coordinates: rings }, properties: { ...told, is: 'edge' } },
      ];
    }),
  };
}

/** Shapes in force are grey and dotted, as on every map of ours; the draft bears the colour of what is chosen. */
function layersOf(colours: Palette): LayerSpecification[] {
  const [ground, edge, route, band] = ['ground', 'edge', 'route', 'band'].map((is) => ['==', ['get', 'is'], is] as never);
  const line = ['case', ['get', 'chosen'], colours.select, colours.line] as never;
  return [
    { id: 'force-fill', type: 'fill', source: 'force', filter: ground!, paint: { 'fill-color': colours.line, 'fill-opacity': 0.08 } },
    bandLayer('force', band!, colours.line, 0.12),
    { id: 'force-line', type: 'line', source: 'force', filter: edge!, paint: { 'line-color': line, 'line-width': ['case', ['get', 'chosen'], 2.5, 1.5], 'line-dasharray': [1, 2] } },
    { id: 'force-route', type: 'line', source: 'force', filter: route!, paint: { 'line-color': line, 'line-width': ['case', ['get', 'chosen'], 2.5, 1] } },
    { id: 'draft-fill', type: 'fill', source: 'draft', filter: ground!, paint: { 'fill-color': colours.select, 'fill-opacity': 0.12 } },
    bandLayer('draft', band!, colours.select, 0.2),
    { id: 'draft-line', type: 'line', source: 'draft', filter: ['in', ['get', 'is'], ['literal', ['edge', 'route']]], paint: { 'line-color': colours.select, 'line-width': ['case', ['get', 'chosen'], 3, 1.5] } },
    {
      id: 'handles', type: 'circle', source: 'handles',
      paint: {
        'circle-radius': ['match', ['get', 'is'], 'middle', 3.5, 'chosen', 8, 6],
        'circle-color': ['match', ['get', 'is'], 'chosen', colours.select, colours.panel],
        'circle-stroke-color': colours.select,
        'circle-stroke-width': ['match', ['get', 'is'], 'middle', 1, 2],
      },
    },
    {
      id: 'spots', type: 'symbol', source: 'spots',
      layout: {
        'text-field': ['match', ['get', 'mark'], 'new', '●', 'both', '◐', '○'], 'text-font': FONT, 'text-allow-overlap': true,
        'text-ignore-placement': true, 'text-size': ['case', ['get', 'chosen'], 30, 18],
      },
      paint: { 'text-color': ['case', ['get', 'chosen'], colours.select, colours.text], 'text-halo-color': colours.panel, 'text-halo-width': 1.5 },
    },
  ];
}

/** A corridor, flat on the ground. Its pieces lie over one another, and only this kind of layer is laid on the map as one: else each bend is darker. */
function bandLayer(source: string, filter: never, colour: string, opacity: number): LayerSpecification {
  return {
    id: `${source}-wide`, type: 'fill-extrusion', source, filter,
    paint: { 'fill-extrusion-color': colour, 'fill-extrusion-opacity': opacity, 'fill-extrusion-height': 0, 'fill-extrusion-base': 0, 'fill-extrusion-vertical-gradient': false },
  };
}
