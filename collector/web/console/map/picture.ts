/**
 * The map as the rest of the console knows it: give it columns and alerts, ask it what lies where.
 * Law: nobody else touches MapLibre; nothing is drawn again without a change.
 */
import { Map as GlMap, NavigationControl, ScaleControl } from 'maplibre-gl';
import type { GeoJSONSource } from 'maplibre-gl';
import type { Alert } from '../lib/alerts';
import { find } from '../lib/columns';
import type { Units } from '../lib/columns';
import type { Town } from '../lib/place';
import type { Language } from '../lib/words';
import { BOUNDS, CENTRE, styleOf } from './basemap';
import { palette } from './colours';
import './engine';
import { icons, marksOf } from './marks';
import { mercator } from './mercator';
import { picked } from './pick';
import { Points } from './points';

const FLASH_MS = 500; // 1 Hz
const NEAR_ZOOM = 11;

export interface View {
  readonly lon: number;
  readonly lat: number;
  readonly zoom: number;
}

export interface Told {
  /** A click: units under it, and where on the screen. */
  picked(numbers: readonly number[], at: { readonly x: number; readonly y: number }): void;
  moved(view: View): void;
  /** How many of the abnormal units bear a label. */
  labelled(shown: number, of: number): void;
}

export class Picture {
  private readonly map: GlMap;
  private readonly points: Points;
  private units: Units | null = null;
  private alerts: readonly Alert[] = [];
  private shapes: GeoJSON.FeatureCollection = { type: 'FeatureCollection', features: [] };
  private isReady = false;
  private isFitted: boolean;
  private flash: ReturnType<typeof setInterval> | undefined;
  private readonly watcher: ResizeObserver;

  constructor(
    box: HTMLElement,
    look: { towns: readonly Town[]; language: Language; isDim: boolean },
    view: View | null,
    private readonly told: Told,
  ) {
    this.isFitted = view !== null;
    const colours = palette();
    this.points = new Points(mercator(CENTRE.lon, CENTRE.lat), colours);
    this.map = new GlMap({
      container: box,
      style: styleOf(colours, look.towns, look.language, look.isDim),
      attributionControl: false, // it writes HTML, which Trusted Types refuse; the sources are named under help
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      maxZoom: 18,
      minZoom: 3,
      ...(view === null ? { bounds: BOUNDS } : { center: [view.lon, view.lat], zoom: view.zoom }),
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.addControl(new NavigationControl({ showCompass: false }), 'bottom-right');
    this.map.addControl(new ScaleControl({}), 'bottom-left');
    this.map.on('style.load', () => this.dress());
    this.map.on('click', (event) => this.pick(event.point));
    this.map.on('moveend', () => {
      const { lng, lat } = this.map.getCenter();
      this.told.moved({ lon: lng, lat, zoom: this.map.getZoom() });
    });
    this.watcher = new ResizeObserver(() => this.map.resize());
    this.watcher.observe(box);
  }

  end(): void {
    clearInterval(this.flash);
    this.watcher.disconnect();
    this.map.remove();
  }

  /** Theme, language or dimming changed: a new style under the same data. */
  redress(look: { towns: readonly Town[]; language: Language; isDim: boolean }): void {
    this.isReady = false;
    const colours = palette();
    this.points.recolour(colours);
    this.map.setStyle(styleOf(colours, look.towns, look.language, look.isDim), { diff: false });
  }

  show(units: Units, alerts: Iterable<Alert>, nowS: number, selected: number | null): void {
    this.units = units;
    this.alerts = [...alerts];
    this.fitOnce();
    this.points.show(units, nowS, selected);
    this.showMarks();
  }

  showShapes(shapes: GeoJSON.FeatureCollection): void {
    this.shapes = shapes;
    if (this.isReady) this.source('shapes')?.setData(shapes);
  }

  /** Bring a unit, or a place, into view. */
  go(lon: number, lat: number): void {
    const zoom = Math.max(this.map.getZoom(), NEAR_ZOOM);
    this.map.jumpTo({ center: [lon, lat], zoom }); // no flight: motion is kept for what must be noticed
  }

  follow(no: number): void {
    const row = this.units === null ? -1 : find(this.units, no);
    if (row < 0 || this.units?.atS[row] === 0) return;
    this.map.jumpTo({ center: [this.units!.lonE6[row]! / 1e6, this.units!.latE6[row]! / 1e6] });
  }

  /** Whether the machine draws without a GPU. */
  get isSoftware(): boolean {
    const gl = document.createElement('canvas').getContext('webgl2');
    const info = gl?.getExtension('WEBGL_debug_renderer_info');
    const name = info ? String(gl?.getParameter(info.UNMASKED_RENDERER_WEBGL)) : '';
    gl?.getExtension('WEBGL_lose_context')?.loseContext();
    return /swiftshader|llvmpipe|software/i.test(name);
  }

  private dress(): void {
    for (const { name, image } of icons(palette(), devicePixelRatio)) {
      if (this.map.hasImage(name)) this.map.removeImage(name);
      this.map.addImage(name, image, { pixelRatio: devicePixelRatio });
    }
    if (!this.map.getLayer(this.points.id)) this.map.addLayer(this.points, 'towns');
    this.isReady = true;
    this.source('shapes')?.setData(this.shapes);
    this.showMarks();
  }

  private showMarks(): void {
    if (!this.isReady || this.units === null) return;
    const { marks, of } = marksOf(this.alerts, this.units);
    this.source('marks')?.setData({
      type: 'FeatureCollection',
      features: marks.map(({ no, lon, lat, plate, icon, isUnseen }, order) => ({
        type: 'Feature',
        geometry: { type: 'Point', coordinates: [lon, lat] },
        properties: { no, plate, icon, unseen: isUnseen, order: -order },
      })),
    });
    this.told.labelled(marks.length, of);
    this.beat(marks.some(({ isUnseen }) => isUnseen));
  }

  /** The one motion there is: un-acknowledged shapes flash at 1 Hz, unless motion is unwanted. */
  private beat(isWanted: boolean): void {
    const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
    if (isWanted === (this.flash !== undefined) || (isWanted && isStill)) return;
    clearInterval(this.flash);
    this.flash = undefined;
    let isOn = true;
    const set = (opacity: number): void => void (this.isReady && this.map.setPaintProperty('unseen', 'icon-opacity', opacity));
    set(1);
    if (!isWanted) return;
    this.flash = setInterval(() => {
      if (document.hidden) return;
      isOn = !isOn;
      set(isOn ? 1 : 0.35);
    }, FLASH_MS);
  }

  private pick(at: { readonly x: number; readonly y: number }): void {
    if (this.units === null) return;
    const bounds = this.map.getBounds();
    const box = { west: bounds.getWest(), south: bounds.getSouth(), east: bounds.getEast(), north: bounds.getNorth() };
    const project = (lon: number, lat: number) => this.map.project([lon, lat]);
    this.told.picked(picked(this.units, box, at, project), at);
  }

  /** Without a view in the address: where the units are. */
  private fitOnce(): void {
    if (this.isFitted || this.units === null || this.units.n === 0) return;
    let [west, south, east, north] = [180, 90, -180, -90];
    for (let i = 0; i < this.units.n; i += 1) {
      if (this.units.atS[i] === 0) continue;
      const [lon, lat] = [this.units.lonE6[i]! / 1e6, this.units.latE6[i]! / 1e6];
      [west, east] = [Math.min(west, lon), Math.max(east, lon)];
      [south, north] = [Math.min(south, lat), Math.max(north, lat)];
    }
    if (west > east) return;
    this.isFitted = true;
    this.map.fitBounds([west, south, east, north], { padding: 80, maxZoom: 12, animate: false });
  }

  private source(name: string): GeoJSONSource | undefined {
    return this.map.getSource<GeoJSONSource>(name);
  }
}
