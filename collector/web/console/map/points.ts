/**
 * All units in one layer of our own: one buffer, `gl.POINTS` (CONSOLE section 8).
 * Law: a unit without a fix is not drawn, an old place is hollow, and nothing is clustered or hidden.
 * A GeoJSON symbol layer needs 650 ms for 10,000 units; this upload takes under one.
 */
import type { CustomLayerInterface, CustomRenderMethodInput, Map as GlMap } from 'maplibre-gl';
import { Stage, stage, worst } from '../lib/columns';
import type { Units } from '../lib/columns';
import { isOld } from '../shell/stale';
import { channels } from './colours';
import type { Palette } from './colours';
import { mercator, shifted } from './mercator';
import type { Point } from './mercator';

const STRIDE = 12; // two floats, then colour, hollow, size, one spare
const COLOURS = ['unit', 'p1', 'p2', 'p3', 'p4', 'select'] as const;
const SELECTED = 5;

const VERTEX = `#version 300 es
uniform mat4 u_matrix; uniform float u_ratio;
in vec2 a_at; in vec4 a_look;
flat out int v_colour; flat out float v_hollow;
void main() {
  gl_Position = u_matrix * vec4(a_at, 0.0, 1.0);
  gl_PointSize = a_look.z * u_ratio;
  v_colour = int(a_look.x); v_hollow = a_look.y;
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
uniform vec3 u_colours[${COLOURS.length}];
flat in int v_colour; flat in float v_hollow;
out vec4 colour;
void main() {
  float far = length(gl_PointCoord - 0.5);
  if (far > 0.5 || (v_hollow > 0.5 && far < 0.32)) discard;
  colour = vec4(u_colours[v_colour], 1.0);
}`;

export class Points implements CustomLayerInterface {
  readonly id = 'units';
  readonly type = 'custom';
  readonly renderingMode = '2d';
  private map: GlMap | null = null;
  private gl: WebGL2RenderingContext | null = null;
  private program: WebGLProgram | null = null;
  private buffer: WebGLBuffer | null = null;
  private array: WebGLVertexArrayObject | null = null;
  private count = 0;
  private bytes = new ArrayBuffer(0);
  private isDirty = false;

  constructor(
    private readonly centre: Point,
    private colours: Palette,
  ) {}

  onAdd(map: GlMap, gl: WebGLRenderingContext | WebGL2RenderingContext): void {
    if (!(gl instanceof WebGL2RenderingContext)) return; // the map itself needs WebGL 2
    this.map = map;
    this.gl = gl;
    this.program = linked(gl);
    this.buffer = gl.createBuffer();
    this.array = gl.createVertexArray();
    gl.bindVertexArray(this.array);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, STRIDE, 0);
    gl.enableVertexAttribArray(1);
    gl.vertexAttribPointer(1, 4, gl.UNSIGNED_BYTE, false, STRIDE, 8);
    gl.bindVertexArray(null);
    this.isDirty = true;
  }

  onRemove(): void {
    this.gl?.deleteProgram(this.program);
    this.gl?.deleteBuffer(this.buffer);
    this.gl?.deleteVertexArray(this.array);
    this.gl = null;
  }

  /** New columns, or another second: the map is drawn again once. */
  show(units: Units, nowS: number, selected: number | null): void {
    if (this.bytes.byteLength < units.n * STRIDE) this.bytes = new ArrayBuffer(Math.ceil(units.n * 1.25) * STRIDE);
    const at = new Float32Array(this.bytes);
    const look = new Uint8Array(this.bytes);
    let n = 0;
    for (let i = 0; i < units.n; i += 1) {
      const atS = units.atS[i]!;
      if (atS === 0) continue;
      const { x, y } = mercator(units.lonE6[i]! / 1e6, units.latE6[i]! / 1e6);
      const state = units.state[i]!;
      const isOpen = worst(state) > 0 && stage(state) !== Stage.SHELVED;
      const isSelected = units.no[i] === selected;
      at[n * 3] = x - this.centre.x;
      at[n * 3 + 1] = y - this.centre.y;
      look[n * STRIDE + 8] = isSelected ? SELECTED : isOpen ? Math.min(worst(state), 4) : 0;
      look[n * STRIDE + 9] = Number(isOld(nowS, atS));
      look[n * STRIDE + 10] = isOpen || isSelected ? 12 : 8;
      n += 1;
    }
    this.count = n;
    this.isDirty = true;
    this.map?.triggerRepaint();
  }

  recolour(colours: Palette): void {
    this.colours = colours;
    this.map?.triggerRepaint();
  }

  render(_gl: WebGLRenderingContext | WebGL2RenderingContext, input: CustomRenderMethodInput): void {
    const { gl, program } = this;
    if (gl === null || program === null || this.count === 0) return;
    gl.useProgram(program);
    gl.bindVertexArray(this.array);
    if (this.isDirty) {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
      gl.bufferData(gl.ARRAY_BUFFER, new Uint8Array(this.bytes, 0, this.count * STRIDE), gl.DYNAMIC_DRAW);
      this.isDirty = false;
      performance.mark('points');
    }
    gl.uniformMatrix4fv(gl.getUniformLocation(program, 'u_matrix'), false, shifted(input.defaultProjectionData.mainMatrix, this.centre));
    gl.uniform1f(gl.getUniformLocation(program, 'u_ratio'), devicePixelRatio);
    gl.uniform3fv(gl.getUniformLocation(program, 'u_colours'), COLOURS.flatMap((name) => [...channels(this.colours[name])]));
    gl.disable(gl.DEPTH_TEST);
    gl.drawArrays(gl.POINTS, 0, this.count);
    gl.bindVertexArray(null);
  }
}

function linked(gl: WebGL2RenderingContext): WebGLProgram {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
    const shader = gl.createShader(type)!;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.bindAttribLocation(program, 0, 'a_at');
  gl.bindAttribLocation(program, 1, 'a_look');
  gl.linkProgram(program);
  console.assert(gl.getProgramParameter(program, gl.LINK_STATUS), gl.getProgramInfoLog(program));
  return program;
}
