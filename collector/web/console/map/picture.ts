/**
 * The control room's map as the rest of the console knows it: give it columns and alerts, ask it what lies where.
 * Law: nobody else touches MapLibre. Dots, shapes and plates are drawn in the next frame, over the basemap.
 */
import type { Alert } from '../lib/alerts';
import { find } from '../lib/columns';
import type { Units } from '../lib/columns';
import { CENTRE } from './basemap';
import { palette } from './colours';
import { Frame, boxOf } from './frame';
import type { Look, View } from './frame';
import { areSame, marksOf, worstOf } from './marks';
import type { Mark } from './marks';
import { mercator } from './mercator';
import { Overlay } from './overlay';
import { picked } from './pick';
import { Plates } from './plates';
import { Points } from './points';
import { Sprites } from './sprites';

const FLASH_MS = 500; // 1 Hz
const NEAR_ZOOM = 11;
const ORIGIN = mercator(CENTRE.lon, CENTRE.lat);

export interface Told {
  /** A click: units under it, and where on the screen. */
  picked(numbers: readonly number[], at: { readonly x: number; readonly y: number }): void;
  moved(view: View): void;
  /** How many of the abnormal units bear a label. */
  labelled(shown: number, of: number): void;
}

export class Picture {
  readonly frame: Frame;
  private readonly points = new Points(ORIGIN, palette());
  private readonly sprites = new Sprites(ORIGIN, palette());
  private readonly plates = new Plates(palette());
  private readonly overlay: Overlay;
  private units: Units | null = null;
  private alerts: Iterable<Alert> | null = null;
  private worst: readonly Alert[] = [];
  private marks: readonly Mark[] = [];
  private isFitted: boolean;
  private flash: ReturnType<typeof setInterval> | undefined;

  constructor(
    box: HTMLElement,
    look: Look,
    view: View | null,
    private readonly told: Told,
  ) {
    this.isFitted = view !== null;
    this.frame = new Frame(box, look, view, () => {
      this.points.recolour(palette());
      this.sprites.recolour(palette());
      this.plates.recolour(palette());
      this.overlay.soon();
    });
    const { map } = this.frame;
    this.overlay = new Overlay(map, ORIGIN, [this.points, this.sprites], this.plates);
    map.on('click', (event) => this.pick(event.point));
    map.on('moveend', () => {
      const { lng, lat } = map.getCenter();
      this.told.moved({ lon: lng, lat, zoom: map.getZoom() });
    });
    map.on('remove', () => {
      clearInterval(this.flash);
      this.overlay.end();
    });
  }

  /** New columns, another one chosen, or some that have become old. */
  showUnits(units: Units, nowS: number, selected: number | null): void {
    const isNews = units !== this.units;
    this.units = units;
    this.fitOnce();
    if (!this.points.show(units, nowS, selected)) return;
    if (isNews) this.overlay.soon();
    else this.overlay.afterwards(); // it was a key or a click: the list answers first
  }

  showMarks(units: Units, alerts: Iterable<Alert>): void {
    if (alerts !== this.alerts) [this.alerts, this.worst] = [alerts, worstOf(alerts)];
    const { marks, of } = marksOf(this.worst, units);
    const isAsBefore = areSame(marks, this.marks);
    this.marks = marks;
    if (this.sprites.show(marks) || !isAsBefore) this.overlay.soon();
    if (isAsBefore) return;
    this.plates.show(marks);
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

  get isSoftware(): boolean {
    return this.overlay.isSoftware;
  }

  /** The one motion there is: un-acknowledged shapes flash at 1 Hz, unless motion is unwanted. */
  private beat(isWanted: boolean): void {
    const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
    if (isWanted === (this.flash !== undefined) || (isWanted && isStill)) return;
    clearInterval(this.flash);
    this.flash = undefined;
    let isOn = true;
    if (this.sprites.dim(false)) this.overlay.soon();
    if (!isWanted) return;
    this.flash = setInterval(() => {
      if (document.hidden) return;
      isOn = !isOn;
      if (this.sprites.dim(!isOn)) this.overlay.soon();
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
