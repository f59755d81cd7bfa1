/**
 * The control room's map as the rest of the console knows it: give it columns and alerts, ask it what lies where.
 * Law: nobody else touches MapLibre. Dots and shapes are drawn in the next frame; only plates take the way over MapLibre's worker.
 */
import type { Alert } from '../lib/alerts';
import { find } from '../lib/columns';
import type { Units } from '../lib/columns';
import { CENTRE, MARKS } from './basemap';
import { palette } from './colours';
import { Frame, boxOf } from './frame';
import type { Look, View } from './frame';
import { labelsOf, marksOf } from './marks';
import type { Mark } from './marks';
import { mercator } from './mercator';
import { picked } from './pick';
import { Points } from './points';
import { Sprites } from './sprites';

const FLASH_MS = 500; // 1 Hz
const NEAR_ZOOM = 11;

export interface Told {
  /** A click: units under it, and where on the screen. */
  picked(numbers: readonly number[], at: { readonly x: number; readonly y: number }): void;
  moved(view: View): void;
  /** How many of the abnormal units bear a label. */
  labelled(shown: number, of: number): void;
}

export class Picture {
  readonly frame: Frame;
  private readonly points = new Points(mercator(CENTRE.lon, CENTRE.lat), palette());
  private readonly sprites = new Sprites(mercator(CENTRE.lon, CENTRE.lat), palette());
  private units: Units | null = null;
  private marks: readonly Mark[] = [];
  private labelled = '';
  private isFitted: boolean;
  private flash: ReturnType<typeof setInterval> | undefined;

  constructor(
    box: HTMLElement,
    look: Look,
    view: View | null,
    private readonly told: Told,
  ) {
    this.isFitted = view !== null;
    this.frame = new Frame(box, look, view, (map) => {
      this.points.recolour(palette());
      this.sprites.recolour(palette());
      map.addLayer(this.points, 'towns');
      map.addLayer(this.sprites, MARKS);
    });
    const { map } = this.frame;
    map.on('click', (event) => this.pick(event.point));
    map.on('moveend', () => {
      const { lng, lat } = map.getCenter();
      this.told.moved({ lon: lng, lat, zoom: map.getZoom() });
      this.label();
    });
    map.on('remove', () => clearInterval(this.flash));
  }

  /** New columns, another one chosen, or some that have become old. */
  showUnits(units: Units, nowS: number, selected: number | null): void {
    this.units = units;
    this.fitOnce();
    this.points.show(units, nowS, selected);
  }

  showMarks(units: Units, alerts: Iterable<Alert>): void {
    const { marks, of } = marksOf(alerts, units);
    this.marks = marks;
    this.sprites.show(marks);
    this.label();
    this.told.labelled(marks.length, of);
    this.beat(marks.some(({ isUnseen }) => isUnseen));
  }

  /** Bring a unit, or a place, into view. */
  go(lon: number, lat: number): void {
    const { map } = this.frame;
    map.jumpTo({ center: [lon, lat], zoom: Math.max(map.getZoom(), NEAR_ZOOM) }); // no flight: motion is kept for what must be noticed
  }

  follow(no: number): void {
    const row = this.units === null ? -1 : find(this.units, no);
    if (row < 0 || this.units?.atS[row] === 0) return;
    this.frame.map.jumpTo({ center: [this.units!.lonE6[row]! / 1e6, this.units!.latE6[row]! / 1e6] });
  }

  /** Whether the machine draws without a GPU. */
  get isSoftware(): boolean {
    const gl = document.createElement('canvas').getContext('webgl2');
    const info = gl?.getExtension('WEBGL_debug_renderer_info');
    const name = info ? String(gl?.getParameter(info.UNMASKED_RENDERER_WEBGL)) : '';
    gl?.getExtension('WEBGL_lose_context')?.loseContext();
    return /swiftshader|llvmpipe|software/i.test(name);
  }

  /** Plates beside the shapes: laid anew only when one has come, gone, or moved by a pixel or two. */
  private label(): void {
    const { key, data } = labelsOf(this.marks, this.frame.map.getZoom());
    if (key === this.labelled) return;
    this.labelled = key;
    this.frame.put(MARKS, data());
  }

  /** The one motion there is: un-acknowledged shapes flash at 1 Hz, unless motion is unwanted. */
  private beat(isWanted: boolean): void {
    const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
    if (isWanted === (this.flash !== undefined) || (isWanted && isStill)) return;
    clearInterval(this.flash);
    this.flash = undefined;
    let isOn = true;
    this.sprites.dim(false);
    if (!isWanted) return;
    this.flash = setInterval(() => {
      if (document.hidden) return;
      isOn = !isOn;
      this.sprites.dim(!isOn);
    }, FLASH_MS);
  }

  private pick(at: { readonly x: number; readonly y: number }): void {
    if (this.units === null) return;
    const { map } = this.frame;
    const bounds = map.getBounds();
    const box = { west: bounds.getWest(), south: bounds.getSouth(), east: bounds.getEast(), north: bounds.getNorth() };
    this.told.picked(picked(this.units, box, at, (lon, lat) => map.project([lon, lat])), at);
  }

  /** Without a view in the address: where the units are. */
  private fitOnce(): void {
    const { units } = this;
    if (this.isFitted || units === null) return;
    const box = boxOf(units.n, units.lonE6, units.latE6, (row) => units.atS[row] !== 0);
    if (box.west > box.east) return;
    this.isFitted = true;
    this.frame.fit(box, 80, 12);
  }
}
