/**
 * A webcam's face as ARKit coefficients and a head pose, by MediaPipe's face landmarker, which runs
 * in the page and comes from the server itself (`make camera`). Knows no connection.
 */

/** @typedef {{coefficients: Record<string, number>, t: number}} Face */

/** The part of MediaPipe that is used here. @typedef {{
 *   detectForVideo(picture: HTMLVideoElement | OffscreenCanvas, t: number): {
 *     faceBlendshapes: {categories: {categoryName: string, score: number}[]}[],
 *     facialTransformationMatrixes: {data: ArrayLike<number>}[],
 *   },
 *   close(): void,
 * }} Landmarker
 */

/** No face for so long is a lost face, in milliseconds. */
const PATIENCE = 300;

/** Scores of a closed jaw, and the inverse of how the score bends. */
const JAW_NOISE = 0.02;
const JAW_POWER = 0.4;

/** Nothing of MediaPipe is there. */
export class MissingTrackerError extends Error {
  constructor() {
    super("The face tracker is not installed on the server: run `make camera` there once.");
    this.name = "MissingTrackerError";
  }
}

export class FaceTracker {
  /** @type {(face: Face) => void} */
  onFace = () => {};

  /** Called when a face comes into sight, and when it is lost. @type {(isSeen: boolean) => void} */
  onSight = () => {};

  /** Faces in the last second, for people to look at. */
  rate = 0;

  #landmarker;
  #video = document.createElement("video");
  /** @type {number[]} */
  #instants = [];
  #seen = 0;
  #isSeen = false;
  #isRunning = false;
  /** Where the head was at first, in centimetres: a camera's distance tells nothing. @type {number[] | null} */
  #home = null;

  /** @param {Landmarker} landmarker */
  constructor(landmarker) {
    this.#landmarker = landmarker;
    this.#video.muted = true;
    this.#video.playsInline = true;
  }

  /**
   * Loads MediaPipe.
   * @returns {Promise<FaceTracker>}
   */
  static async load() {
    const file = (/** @type {string} */ name) => new URL(`face_tracker/${name}`, document.baseURI).href;
    const isThere = await fetch(file("vision_bundle.mjs"), { method: "GET" }).then((answer) => answer.ok);
    if (!isThere) throw new MissingTrackerError();
    const { FaceLandmarker } = await import(file("vision_bundle.mjs"));
    const wasm = {
      wasmLoaderPath: file("vision_wasm_internal.js"),
      wasmBinaryPath: file("vision_wasm_internal.wasm"),
    };
    const landmarker = await FaceLandmarker.createFromOptions(wasm, {
      // the processor takes some 10 ms a picture; a graphics card has the portrait's video to draw,
      // and where it is made up by software takes seconds
      baseOptions: { modelAssetPath: file("face_landmarker.task"), delegate: "CPU" },
      runningMode: "VIDEO",
      numFaces: 1,
      outputFaceBlendshapes: true,
      outputFacialTransformationMatrixes: true,
    });
    return new FaceTracker(landmarker);
  }

  /**
   * Follows the face in a camera's pictures until `stop`.
   * @param {MediaStream} stream
   */
  async start(stream) {
    this.#isRunning = true;
    this.#home = null;
    this.#video.srcObject = stream;
    await this.#video.play();
    this.#next();
  }

  stop() {
    this.#isRunning = false;
    this.#video.srcObject = null;
    this.#note(false);
  }

  #next() {
    if (!this.#isRunning) return;
    this.#video.requestVideoFrameCallback((now, { captureTime }) => {
      if (this.#isRunning) this.#look(captureTime ?? now);
      this.#next();
    });
  }

  /** @param {number} t when the picture was taken */
  #look(t) {
    const face = this.read(this.#video, performance.now(), t);
    const now = performance.now();
    if (face === null) {
      if (now - this.#seen > PATIENCE) this.#note(false);
      return;
    }
    this.#seen = now;
    this.#instants = [...this.#instants.filter((instant) => now - instant < 1_000), now];
    this.rate = this.#instants.length;
    this.#note(true);
    this.onFace(face);
  }

  /**
   * Reads the face in one picture of a sequence.
   * @param {HTMLVideoElement | OffscreenCanvas} picture
   * @param {number} now milliseconds, later than for the picture before
   * @param {number} [t] when it was taken, if not now
   * @returns {Face | null} null where there is no face
   */
  read(picture, now, t = now) {
    const found = this.#landmarker.detectForVideo(picture, now);
    const shapes = found.faceBlendshapes[0];
    const pose = found.facialTransformationMatrixes[0];
    if (shapes === undefined || pose === undefined) return null;
    this.#home ??= placeOf(pose.data);
    return { coefficients: { ...shapesOf(shapes.categories), ...poseOf(pose.data, this.#home) }, t };
  }

  /** @param {boolean} isSeen */
  #note(isSeen) {
    if (isSeen === this.#isSeen) return;
    this.#isSeen = isSeen;
    this.onSight(isSeen);
  }
}

/**
 * @param {{categoryName: string, score: number}[]} categories
 * @returns {Record<string, number>} by ARKit's names, which are MediaPipe's
 */
function shapesOf(categories) {
  const known = categories.filter(({ categoryName }) => !categoryName.startsWith("_"));
  return Object.fromEntries(known.map(({ categoryName: name, score }) => [
    name,
    rounded(name === "jawOpen" ? openingOf(score) : score),
  ]));
}

/**
 * How far a jaw is open. MediaPipe's score grows with about the power 2.5 of it (0.12 for half open,
 * measured on faces that our renderer opened); this takes it back, except where there is noise alone.
 * @param {number} score 0..1
 * @returns {number} 0..1
 */
export function openingOf(score) {
  const bent = (/** @type {number} */ value) => (value + JAW_NOISE) ** JAW_POWER;
  return (bent(score) - bent(0)) / (bent(1) - bent(0));
}

/**
 * The head's pose as docs/protocol.md wants it: R = R_y(yaw) R_x(pitch) R_z(roll), x to the picture's
 * right, y up, z to the viewer, which are MediaPipe's axes.
 * @param {ArrayLike<number>} matrix 4 x 4, by columns
 * @param {number[]} home where the head is at rest
 * @returns {Record<string, number>}
 */
export function poseOf(matrix, home) {
  const at = (/** @type {number} */ row, /** @type {number} */ column) => matrix[4 * column + row] ?? 0;
  const [x = 0, y = 0, z = 0] = placeOf(matrix).map((value, axis) => value - (home[axis] ?? 0));
  return {
    headPitch: rounded(Math.asin(Math.max(-1, Math.min(1, -at(1, 2))))),
    headYaw: rounded(Math.atan2(at(0, 2), at(2, 2))),
    headRoll: rounded(Math.atan2(at(1, 0), at(1, 1))),
    headX: rounded(x),
    headY: rounded(y),
    headZ: rounded(z),
  };
}

/**
 * @param {ArrayLike<number>} matrix
 * @returns {number[]} centimetres
 */
const placeOf = (matrix) => [matrix[12] ?? 0, matrix[13] ?? 0, matrix[14] ?? 0];

/** @param {number} value */
const rounded = (value) => Math.round(value * 1e4) / 1e4;
