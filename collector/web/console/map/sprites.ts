/**
 * The shapes of abnormal units: diamond, triangle, square, ring, out of one picture on the graphics card.
 * Law: a shape stands in the frame after its alert came, and flashes without anything being laid anew. Through MapLibre's symbols it
 * would wait for its worker, and each beat or second would bring 300 ms of fading.
 */
import { noted } from '../shell/noted';
import type { Palette } from './colours';
import { Rows, drawing, dropped } from './gl';
import type { Drawing } from './gl';
import { ICONS, SIDE, sheetOf } from './marks';
import type { Mark } from './marks';
import { mercator } from './mercator';
import type { Point } from './mercator';
import type { Layer } from './overlay';

const DIM = 0.35;
const NOWHERE = Float32Array.of(9, 9, 0); // one row, far outside the world's square
const VERTEX = `#version 300 es
uniform mat4 u_matrix; uniform float u_side, u_dim;
in vec2 a_at; in vec4 a_look;
flat out float v_icon, v_light;
void main() {
  gl_Position = u_matrix * vec4(a_at, 0.0, 1.0);
  gl_PointSize = u_side;
  v_icon = a_look.x; v_light = a_look.y > 0.5 ? u_dim : 1.0;
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
uniform sampler2D u_sheet;
flat in float v_icon, v_light;
out vec4 colour;
void main() {
  colour = texture(u_sheet, vec2((gl_PointCoord.x + v_icon) / ${ICONS.length}.0, gl_PointCoord.y)) * v_light;
}`;

export class Sprites implements Layer {
  private drawn: Drawing | null = null;
  private texture: WebGLTexture | null = null;
  private sheet: HTMLCanvasElement | null = null;
  private readonly rows = new Rows();
  private isDirty = false;
  private isDim = false;
  /** The first drawing makes the graphics compile: that is done before the first alert, with a point that nobody sees. */
  private isWarm = false;

  constructor(
    private readonly centre: Point,
    private colours: Palette,
  ) {}

  begin(gl: WebGL2RenderingContext): void {
    this.drawn = drawing(gl, VERTEX, FRAGMENT);
    this.texture = gl.createTexture();
    this.sheet = sheetOf(this.colours, devicePixelRatio);
    this.isDirty = true;
  }

  end(): void {
    if (this.drawn === null) return;
    this.drawn.gl.deleteTexture(this.texture);
    dropped(this.drawn);
    this.drawn = null;
  }

  /** The worst first: they are drawn last, over the others. Whether anything is another than it was. */
  show(marks: readonly Mark[]): boolean {
    this.rows.begin(marks.length);
    for (const { lon, lat, icon, isUnseen } of marks.toReversed()) {
      const { x, y } = mercator(lon, lat);
      this.rows.push(x - this.centre.x, y - this.centre.y, ICONS.indexOf(icon), Number(isUnseen), 0);
    }
    if (this.rows.isChanged || !this.isWarm) return (this.isDirty = true);
    noted('marks'); // what is wanted stands there already
    return false;
  }

  /** The dark half of a beat; whether it is another than it was. */
  dim(isDim: boolean): boolean {
    const isNew = isDim !== this.isDim;
    this.isDim = isDim;
    return isNew;
  }

  recolour(colours: Palette): void {
    this.colours = colours;
    this.sheet = sheetOf(colours, devicePixelRatio);
  }

  draw(matrix: Float32Array): void {
    if (this.drawn === null || (this.rows.count === 0 && this.isWarm)) return;
    const { gl, program, buffer, array } = this.drawn;
    gl.useProgram(program);
    gl.bindVertexArray(array);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    if (this.sheet !== null) this.upload(gl, this.sheet);
    if (this.isDirty) {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, this.rows.count === 0 ? NOWHERE : this.rows.bytes, gl.DYNAMIC_DRAW);
      this.isDirty = false;
      if (this.rows.count > 0) noted('marks');
    }
    gl.uniformMatrix4fv(gl.getUniformLocation(program, 'u_matrix'), false, matrix);
    gl.uniform1f(gl.getUniformLocation(program, 'u_side'), SIDE * devicePixelRatio);
    gl.uniform1f(gl.getUniformLocation(program, 'u_dim'), this.isDim ? DIM : 1);
    gl.uniform1i(gl.getUniformLocation(program, 'u_sheet'), 0);
    gl.drawArrays(gl.POINTS, 0, Math.max(this.rows.count, 1));
    gl.bindVertexArray(null);
    this.isWarm = true;
  }

  private upload(gl: WebGL2RenderingContext, sheet: HTMLCanvasElement): void {
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, true);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, sheet);
    for (const [name, value] of [[gl.TEXTURE_MIN_FILTER, gl.LINEAR], [gl.TEXTURE_MAG_FILTER, gl.LINEAR], [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE], [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE]] as const) {
      gl.texParameteri(gl.TEXTURE_2D, name, value);
    }
    this.sheet = null;
  }
}
