/**
 * Shows packed pictures: a video twice as high as wide whose upper half holds the colours and
 * whose lower half the matte, laid on a transparent canvas by WebGL. Pictures of another shape
 * are left to the video element. Knows no connection; docs/protocol.md says how to composite.
 */

/** @import { Layout } from "./protocol.js" */

/** Two triangles that cover the canvas. */
const CORNERS = new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]);

const VERTEX = `
  attribute vec2 corner;
  varying vec2 place; // 0..1 from the top left of the picture
  void main() {
    place = vec2(0.5 + 0.5 * corner.x, 0.5 - 0.5 * corner.y);
    gl_Position = vec4(corner, 0.0, 1.0);
  }`;

const FRAGMENT = `
  #ifdef GL_FRAGMENT_PRECISION_HIGH
  precision highp float;
  #else
  precision mediump float;
  #endif
  uniform sampler2D frame;
  uniform float row; // one row of the packed picture, 0..1
  varying vec2 place;
  void main() {
    // half a row inside, so that neither half bleeds into the other
    float y = clamp(0.5 * place.y, 0.5 * row, 0.5 - 0.5 * row);
    vec3 colour = texture2D(frame, vec2(place.x, y)).rgb;
    float matte = texture2D(frame, vec2(place.x, y + 0.5)).g;
    float share = clamp((matte - 0.03) / 0.94, 0.0, 1.0);
    gl_FragColor = vec4(share * colour, share);
  }`;

export class Compositor {
  /** Called when pictures of another layout begin to arrive. @type {(layout: Layout) => void} */
  onLayout = () => {};

  /** Called when packed pictures arrive and cannot be composited. */
  onUnable = () => {};

  #video;
  #canvas;
  /** @type {Painter | null} */
  #painter = null;
  /** @type {Layout | null} */
  #layout = null;

  /**
   * Watches the pictures that the video presents.
   * @param {HTMLVideoElement} video
   * @param {HTMLCanvasElement} canvas
   */
  constructor(video, canvas) {
    this.#video = video;
    this.#canvas = canvas;
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault(); // else it is never restored
      this.#painter = null;
    });
    const watch = () => video.requestVideoFrameCallback(() => {
      this.#take();
      watch();
    });
    watch();
  }

  #take() {
    const { videoWidth: width, videoHeight: height } = this.#video;
    const layout = height === 2 * width ? "packed" : "plain";
    const isNew = layout !== this.#layout;
    this.#layout = layout;
    if (layout === "packed") {
      this.#painter ??= createPainter(this.#canvas);
      this.#painter?.(this.#video);
      if (isNew && this.#painter === null) this.onUnable();
    }
    if (isNew) this.onLayout(layout);
  }
}

/** @typedef {(video: HTMLVideoElement) => void} Painter */

/**
 * Readies a canvas for packed pictures.
 * @param {HTMLCanvasElement} canvas
 * @returns {Painter | null} null where the browser has no WebGL, or has lost it for now
 */
function createPainter(canvas) {
  const gl = canvas.getContext("webgl", { alpha: true, antialias: false, depth: false });
  const program = gl?.createProgram();
  if (!gl || !program || gl.isContextLost()) return null;
  for (const [kind, source] of /** @type {const} */ ([
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ])) {
    const shader = gl.createShader(kind);
    if (!shader) return null;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, CORNERS, gl.STATIC_DRAW);
  const corner = gl.getAttribLocation(program, "corner");
  gl.enableVertexAttribArray(corner);
  gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) {
    gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
  }
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
  const row = gl.getUniformLocation(program, "row");
  return (video) => {
    const { videoWidth: width, videoHeight: height } = video;
    if (canvas.width !== width) canvas.width = canvas.height = width;
    gl.viewport(0, 0, width, width);
    gl.uniform1f(row, 1 / height);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, video);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  };
}
