/**
 * What changes from second to second, on a canvas of its own over the basemap.
 * Law: news of units never has the basemap drawn again; where the basemap moves, this is drawn in the same frame.
 * Without a graphics card a frame of the basemap takes a tenth of a second, and what a key has changed waits behind it.
 */
import type { Map as GlMap } from 'maplibre-gl';
import { WORLD_PX, clipOf, mercator } from './mercator';
import type { Point } from './mercator';
import type { Plates } from './plates';

const SOFT_MS = 100; // without a graphics card ten frames a second at most
const REST_MS = 150; // and none for a hand that is still running down the list

/** One of what is drawn there. */
export interface Layer {
  begin(gl: WebGL2RenderingContext): void;
  draw(matrix: Float32Array): void;
  end(): void;
}

export class Overlay {
  private readonly canvas = document.createElement('canvas');
  private readonly gl: WebGL2RenderingContext;
  private readonly size: ResizeObserver;
  private frame = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private rest: ReturnType<typeof setTimeout> | undefined;
  private drawnMs = Number.NEGATIVE_INFINITY;
  private seen = '';
  readonly isSoftware: boolean;

  /** `origin`: the point to which the layers' places are relative. */
  constructor(
    private readonly map: GlMap,
    private readonly origin: Point,
    private readonly layers: readonly Layer[],
    private readonly plates: Plates,
  ) {
    const gl = this.canvas.getContext('webgl2', { antialias: false, depth: false, stencil: false });
    if (gl === null) throw new Error('no WebGL 2'); // as the basemap says it
    this.gl = gl;
    this.isSoftware = isSoftware(gl);
    this.canvas.className = 'overlay';
    this.canvas.setAttribute('aria-hidden', 'true');
    map.getCanvas().after(this.canvas, plates.canvas);
    this.canvas.addEventListener('webglcontextlost', (event) => event.preventDefault());
    this.canvas.addEventListener('webglcontextrestored', () => this.begin());
    map.on('render', () => this.view() !== this.seen && this.draw());
    this.size = new ResizeObserver(() => this.soon());
    this.size.observe(this.canvas);
    this.begin();
  }

  end(): void {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
    clearTimeout(this.rest);
    this.size.disconnect();
    for (const layer of this.layers) layer.end();
    this.gl.getExtension('WEBGL_lose_context')?.loseContext(); // a browser has few of them
    this.canvas.remove();
    this.plates.canvas.remove();
  }

  /** In the next frame, or as soon as this machine may draw again. */
  soon(): void {
    if (this.frame !== 0 || this.timer !== undefined) return;
    const waitMs = this.isSoftware ? this.drawnMs + SOFT_MS - performance.now() : 0;
    if (waitMs <= 0) return this.next();
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.next();
    }, waitMs);
  }

  /** When what stands before the eye now is painted: a key is answered first. What is news meanwhile waits for nothing. */
  afterwards(): void {
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.soon(), this.isSoftware ? REST_MS : 0);
  }

  private next(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.draw());
  }

  private begin(): void {
    for (const layer of this.layers) layer.begin(this.gl);
    this.soon();
  }

  private draw(): void {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.rest);
    this.frame = 0;
    if (this.gl.isContextLost()) return;
    const { gl, canvas, map } = this;
    const { width, height } = map.getCanvas();
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    this.drawnMs = performance.now();
    this.seen = this.view();
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const { lng, lat } = map.getCenter();
    const { clientWidth, clientHeight } = map.getContainer();
    const sight = { centre: mercator(lng, lat), world: WORLD_PX * 2 ** map.getZoom(), width: clientWidth, height: clientHeight };
    const matrix = clipOf(sight, this.origin);
    for (const layer of this.layers) layer.draw(matrix);
    this.plates.draw(sight);
  }

  /** What is in sight, as a word that is another when it moves. */
  private view(): string {
    const { lng, lat } = this.map.getCenter();
    const { width, height } = this.map.getCanvas();
    return `${lng} ${lat} ${this.map.getZoom()} ${width} ${height}`;
  }
}

/** Whether the machine draws without a graphics card. */
function isSoftware(gl: WebGL2RenderingContext): boolean {
  const named = gl.getExtension('WEBGL_debug_renderer_info');
  return named !== null && /swiftshader|llvmpipe|software/i.test(String(gl.getParameter(named.UNMASKED_RENDERER_WEBGL)));
}
