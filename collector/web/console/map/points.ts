/**
 * All units in one layer of our own: one buffer, `gl.POINTS` (CONSOLE section 8).
 * Law: a unit without a fix is not drawn, an old place is hollow, and nothing is clustered or hidden. What is as it was is not drawn again.
 * A GeoJSON symbol layer needs 650 ms for 10,000 units; this upload takes under one.
 */
import type { CustomLayerInterface, CustomRenderMethodInput, Map as GlMap } from 'maplibre-gl';
import { Stage, stage, worst } from '../lib/columns';
import type { Units } from '../lib/columns';
import { noted } from '../shell/noted';
import { isOld } from '../shell/stale';
import { channels } from './colours';
import type { Palette } from './colours';
import { Rows, drawing, dropped } from './gl';
import type { Drawing } from './gl';
import { mercator, shifted } from './mercator';
import type { Point } from './mercator';

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
  private drawn: Drawing | null = null;
  private readonly rows = new Rows();
  private isDirty = false;

  constructor(
    private readonly centre: Point,
    private colours: Palette,
  ) {}

  onAdd(map: GlMap, gl: WebGLRenderingContext | WebGL2RenderingContext): void {
    if (!(gl instanceof WebGL2RenderingContext)) return; // the map itself needs WebGL 2
    this.map = map;
    this.drawn = drawing(gl, VERTEX, FRAGMENT);
    this.isDirty = true;
  }

  onRemove(): void {
    if (this.drawn !== null) dropped(this.drawn);
    this.drawn = null;
  }

  show(units: Units, nowS: number, selected: number | null): void {
    this.rows.begin(units.n);
    for (let i = 0; i < units.n; i += 1) {
      const atS = units.atS[i]!;
      if (atS === 0) continue;
      const { x, y } = mercator(units.lonE6[i]! / 1e6, units.latE6[i]! / 1e6);
      const state = units.state[i]!;
      const isOpen = worst(state) > 0 && stage(state) !== Stage.SHELVED;
      const isSelected = units.no[i] === selected;
      const colour = isSelected ? SELECTED : isOpen ? Math.min(worst(state), 4) : 0;
      this.rows.push(x - this.centre.x, y - this.centre.y, colour, Number(isOld(nowS, atS)), isOpen || isSelected ? 12 : 8);
    }
    if (!this.rows.isChanged) return;
    this.isDirty = true;
    this.map?.triggerRepaint();
  }

  recolour(colours: Palette): void {
    this.colours = colours;
    this.map?.triggerRepaint();
  }

  render(_gl: WebGLRenderingContext | WebGL2RenderingContext, input: CustomRenderMethodInput): void {
    if (this.drawn === null || this.rows.count === 0) return;
    const { gl, program, buffer, array } = this.drawn;
    gl.useProgram(program);
    gl.bindVertexArray(array);
    if (this.isDirty) {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, this.rows.bytes, gl.DYNAMIC_DRAW);
      this.isDirty = false;
      noted('points');
    }
    gl.uniformMatrix4fv(gl.getUniformLocation(program, 'u_matrix'), false, shifted(input.defaultProjectionData.mainMatrix, this.centre));
    gl.uniform1f(gl.getUniformLocation(program, 'u_ratio'), devicePixelRatio);
    gl.uniform3fv(gl.getUniformLocation(program, 'u_colours'), COLOURS.flatMap((name) => [...channels(this.colours[name])]));
    gl.disable(gl.DEPTH_TEST);
    gl.drawArrays(gl.POINTS, 0, this.rows.count);
    gl.bindVertexArray(null);
  }
}
