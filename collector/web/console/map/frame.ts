/**
 * What every map of ours is: the basemap in its dress, the same way to move in it, and data that outlive a change of dress.
 * Law: nothing is drawn again without a change, and nothing moves by itself: a machine without a graphics card draws each frame by hand.
 */
import { Map as GlMap, ScaleControl } from 'maplibre-gl';
import type { GeoJSONSource } from 'maplibre-gl';
import type { Town } from '../lib/place';
import type { Language } from '../lib/words';
import { BOUNDS, styleOf } from './basemap';
import { palette } from './colours';
import './engine';

export interface Look {
  readonly towns: readonly Town[];
  readonly language: Language;
  readonly isDim: boolean;
}

export interface View {
  readonly lon: number;
  readonly lat: number;
  readonly zoom: number;
}

export interface Box {
  readonly west: number;
  readonly south: number;
  readonly east: number;
  readonly north: number;
}

export class Frame {
  readonly map: GlMap;
  private readonly watcher: ResizeObserver;
  private readonly data = new Map<string, GeoJSON.FeatureCollection>();
  private isDressed = false;

  /** `dress` is called with each new style, before the data are put in. */
  constructor(
    box: HTMLElement,
    look: Look,
    view: View | null,
    private readonly dress: (map: GlMap) => void,
  ) {
    this.map = new GlMap({
      container: box,
      style: styleOf(palette(), look.towns, look.language, look.isDim),
      attributionControl: false, // it writes HTML, which Trusted Types refuse; the sources are named under help
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      maxZoom: 18,
      minZoom: 3,
      ...(view === null ? { bounds: BOUNDS } : { center: [view.lon, view.lat], zoom: view.zoom }),
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.keyboard.disableRotation(); // nothing on the screen would turn it back
    this.map.addControl(new ScaleControl({}), 'bottom-left');
    this.map.on('style.load', () => this.dressed());
    this.watcher = new ResizeObserver(() => this.map.resize());
    this.watcher.observe(box);
  }

  end(): void {
    this.watcher.disconnect();
    this.map.remove();
  }

  /** Theme, language or dimming changed: a new style under the same data. */
  redress(look: Look): void {
    this.isDressed = false;
    this.map.setStyle(styleOf(palette(), look.towns, look.language, look.isDim), { diff: false });
  }

  /** The data of a source, kept for the next dress. */
  put(source: string, data: GeoJSON.FeatureCollection): void {
    this.data.set(source, data);
    if (this.isDressed) this.map.getSource<GeoJSONSource>(source)?.setData(data);
  }

  zoom(by: 1 | -1): void {
    this.map.zoomTo(this.map.getZoom() + by, { animate: false });
  }

  /** All of a box into view; none if it is empty. */
  fit({ west, south, east, north }: Box, padding: number, maxZoom: number): void {
    if (west <= east) this.map.fitBounds([west, south, east, north], { padding, maxZoom, animate: false });
  }

  private dressed(): void {
    this.dress(this.map);
    this.isDressed = true;
    for (const [source, data] of this.data) this.map.getSource<GeoJSONSource>(source)?.setData(data);
  }
}

/** The box of all places of columns in millionths of a degree. `isPlaced` leaves rows out. */
export function boxOf(
  n: number,
  lonE6: ArrayLike<number>,
  latE6: ArrayLike<number>,
  isPlaced: (row: number) => boolean = () => true,
): Box {
  let [west, south, east, north] = [180, 90, -180, -90];
  for (let i = 0; i < n; i += 1) {
    if (!isPlaced(i)) continue;
    const [lon, lat] = [lonE6[i]! / 1e6, latE6[i]! / 1e6];
    [west, east] = [Math.min(west, lon), Math.max(east, lon)];
    [south, north] = [Math.min(south, lat), Math.max(north, lat)];
  }
  return { west, south, east, north };
}
