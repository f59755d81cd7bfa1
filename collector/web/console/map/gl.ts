/** What our two layers ask of WebGL. Law: what is made is taken away again. */

/** A program of two shaders; its attributes are `a_at` (two floats) and `a_look` (four bytes), in rows of STRIDE bytes. */
export const STRIDE = 12;

export interface Drawing {
  readonly gl: WebGL2RenderingContext;
  readonly program: WebGLProgram;
  readonly buffer: WebGLBuffer;
  readonly array: WebGLVertexArrayObject;
}

export function drawing(gl: WebGL2RenderingContext, vertex: string, fragment: string): Drawing {
  const program = linked(gl, vertex, fragment);
  const buffer = gl.createBuffer();
  const array = gl.createVertexArray();
  gl.bindVertexArray(array);
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.enableVertexAttribArray(0);
  gl.vertexAttribPointer(0, 2, gl.FLOAT, false, STRIDE, 0);
  gl.enableVertexAttribArray(1);
  gl.vertexAttribPointer(1, 4, gl.UNSIGNED_BYTE, false, STRIDE, 8);
  gl.bindVertexArray(null);
  return { gl, program, buffer, array };
}

export function dropped({ gl, program, buffer, array }: Drawing): void {
  gl.deleteProgram(program);
  gl.deleteBuffer(buffer);
  gl.deleteVertexArray(array);
}

/** Rows of two floats and four bytes; `flip` says whether they are others than before. */
export class Rows {
  private now = new ArrayBuffer(0);
  private before = new ArrayBuffer(0);
  private countBefore = -1;
  count = 0;
  at = new Float32Array(0);
  look = new Uint8Array(0);

  /** Room for so many; what stood there last stays to be compared with. */
  begin(most: number): void {
    [this.now, this.before] = [this.before, this.now];
    this.countBefore = this.count;
    if (this.now.byteLength < most * STRIDE) this.now = new ArrayBuffer(Math.ceil(most * 1.25) * STRIDE);
    this.at = new Float32Array(this.now);
    this.look = new Uint8Array(this.now);
    this.count = 0;
  }

  push(x: number, y: number, first: number, second: number, third: number): void {
    const row = this.count;
    this.at[row * 3] = x;
    this.at[row * 3 + 1] = y;
    this.look[row * STRIDE + 8] = first;
    this.look[row * STRIDE + 9] = second;
    this.look[row * STRIDE + 10] = third;
    this.count += 1;
  }

  get isChanged(): boolean {
    if (this.count !== this.countBefore) return true;
    const words = (this.count * STRIDE) / 4;
    const [now, before] = [new Uint32Array(this.now, 0, words), new Uint32Array(this.before, 0, words)];
    for (let i = 0; i < words; i += 1) if (now[i] !== before[i]) return true;
    return false;
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.now, 0, this.count * STRIDE);
  }
}

function linked(gl: WebGL2RenderingContext, vertex: string, fragment: string): WebGLProgram {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]] as const) {
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
