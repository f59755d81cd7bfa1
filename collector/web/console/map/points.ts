/**
 * All units in one layer of our own: one buffer, `gl.POINTS` (CONSOLE section 8).
 * Law: a unit without a fix is not drawn, an old place is hollow, and nothing is clustered or hidden. What is as it was is not handed on again.
 * A GeoJSON symbol layer needs 650 ms for 10,000 units.
 */
import type { Units } from '../lib/columns';
import { noted } from '../shell/noted';
import { channels } from './colours';
import type { Palette } from './colours';
import { Dots, ROW_BYTES } from './dots';
import type { Run } from './dots';
import { drawing, dropped } from './gl';
import type { Drawing } from './gl';
import type { Point } from './mercator';
import type { Layer } from './overlay';

const DUE_MAX = 500;
const COLOURS = ['unit', 'p1', 'p2', 'p3', 'p4', 'select'] as const;

const VERTEX = `#version 300 es
uniform mat4 u_matrix; uniform float u_ratio; uniform vec3 u_colours[${COLOURS.length}];
in vec2 a_at; in vec4 a_look;
flat out vec3 v_colour; flat out float v_hollow;
void main() {
  gl_Position = u_matrix * vec4(a_at, 0.0, 1.0);
  gl_PointSize = a_look.z * u_ratio;
  v_colour = u_colours[int(a_look.x)]; v_hollow = a_look.y;
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
flat in vec3 v_colour; flat in float v_hollow;
out vec4 colour;
void main() {
  vec2 off = gl_PointCoord - 0.5;
  float far = dot(off, off); // squared: a million of these are worked out by hand where there is no graphics card
  if (far > 0.25 || (v_hollow > 0.5 && far < 0.1)) discard;
  colour = vec4(v_colour, 1.0);
}`;

export class Points implements Layer {
  private drawn: Drawing | null = null;
  private readonly dots: Dots;
  private due: Run[] = [];
  private room = 0;

  constructor(
    centre: Point,
    private colours: Palette,
  ) {
    this.dots = new Dots(centre);
  }

  begin(gl: WebGL2RenderingContext): void {
    this.drawn = drawing(gl, VERTEX, FRAGMENT);
    this.room = 0; // all of them are to be handed on
  }

  end(): void {
    if (this.drawn !== null) dropped(this.drawn);
    this.drawn = null;
  }

  /** Whether anything is another than it was. */
  show(units: Units, nowS: number, selected: number | null): boolean {
    const before = this.dots.count;
    const runs = this.dots.show(units, nowS, selected);
    this.due.push(...runs);
    if (this.due.length > DUE_MAX) [this.room, this.due] = [0, []]; // nothing is drawn for now: all of them, then
    return runs.length > 0 || this.dots.count !== before;
  }

  recolour(colours: Palette): void {
    this.colours = colours;
  }

  draw(matrix: Float32Array): void {
    const { dots } = this;
    if (this.drawn === null || dots.count === 0) return;
    const { gl, program, buffer, array } = this.drawn;
    gl.useProgram(program);
    gl.bindVertexArray(array);
    if (this.due.length > 0 || this.room !== dots.room) {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      this.upload(gl);
      noted('points');
    }
    gl.uniformMatrix4fv(gl.getUniformLocation(program, 'u_matrix'), false, matrix);
    gl.uniform1f(gl.getUniformLocation(program, 'u_ratio'), devicePixelRatio);
    gl.uniform3fv(gl.getUniformLocation(program, 'u_colours'), COLOURS.flatMap((name) => [...channels(this.colours[name])]));
    gl.drawArrays(gl.POINTS, 0, dots.count);
    gl.bindVertexArray(null);
  }

  private upload(gl: WebGL2RenderingContext): void {
    const { dots } = this;
    if (this.room !== dots.room) {
      this.room = dots.room;
      gl.bufferData(gl.ARRAY_BUFFER, dots.rows({ from: 0, to: dots.room }), gl.DYNAMIC_DRAW);
    } else for (const run of this.due) gl.bufferSubData(gl.ARRAY_BUFFER, run.from * ROW_BYTES, dots.rows(run));
    this.due = [];
  }
}
