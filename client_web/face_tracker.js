/**
 * A webcam's face as ARKit coefficients and a head pose, by MediaPipe's face landmarker, which comes
 * from the server itself (`make camera`) and works in face_worker.js. Knows no connection.
 */

import { coefficientsOf, placeOf } from "./face_reading.js";

/** @import { Found } from "./face_reading.js" */

/**
 * @typedef {object} Face
 * @property {Record<string, number>} coefficients
 * @property {Float32Array} points see Found
 * @property {number} t when the picture was taken, in milliseconds
 */

/** No face for so long is a lost face, in milliseconds. */
const PATIENCE = 300;

const WORKER = "face_worker.js";

/** Nothing of MediaPipe is there. */
export class MissingTrackerError extends Error {
  constructor() {
    super("The face tracker is not installed on the server: run `make camera` there once.");
    this.name = "MissingTrackerError";
  }
}

/** MediaPipe is there and does not work. */
export class BrokenTrackerError extends Error {
  /** @param {string} fault */
  constructor(fault) {
    super(`The face tracker does not work in this browser: ${fault.slice(0, 200)}`);
    this.name = "BrokenTrackerError";
  }
}

export class FaceTracker {
  /** Called for every picture of the camera that was looked at. @type {(face: Face | null) => void} */
  onFace = () => {};

  /** Called when a face comes into sight, and when it is lost. @type {(isSeen: boolean) => void} */
  onSight = () => {};

  /** Called when it cannot go on. @type {(error: unknown) => void} */
  onFault = () => {};

  /** Faces in the last second, for people to look at. */
  rate = 0;

  #worker;
  #video = document.createElement("video");
  /** @type {Map<number, (answer: {found: Found | null} | {fault: string}) => void>} */
  #asked = new Map();
  #count = 0;
  /** @type {number[]} */
  #instants = [];
  #seen = 0;
  #isSeen = false;
  /** The latest start; what an earlier one still asks for is of no use. */
  #round = 0;
  /** Where the head was at first. @type {number[] | null} */
  #home = null;

  /** @param {Worker} worker that is ready */
  constructor(worker) {
    this.#worker = worker;
    worker.addEventListener("message", ({ data }) => {
      this.#asked.get(data.id)?.(data);
      this.#asked.delete(data.id);
    });
    this.#video.muted = true;
    this.#video.playsInline = true;
  }

  /**
   * Loads MediaPipe.
   * @returns {Promise<FaceTracker>}
   * @throws {MissingTrackerError | BrokenTrackerError}
   */
  static async load() {
    const bundle = new URL("face_tracker/vision_bundle.mjs", document.baseURI);
    const isThere = await fetch(bundle).then((answer) => answer.ok);
    if (!isThere) throw new MissingTrackerError();
    const worker = new Worker(trusted(WORKER));
    await new Promise((resolve, reject) => {
      worker.addEventListener("message", ({ data }) => {
        if (data === "ready") resolve(null);
        else reject(new BrokenTrackerError(data.fault));
      }, { once: true });
      worker.addEventListener("error", ({ message }) => reject(new BrokenTrackerError(message ?? "")), { once: true });
    });
    return new FaceTracker(worker);
  }

  /**
   * Follows the face in a camera's pictures until `stop`.
   * @param {MediaStream} stream
   */
  async start(stream) {
    const round = ++this.#round;
    this.#home = null;
    this.#video.srcObject = stream;
    await this.#video.play();
    this.#next(round);
  }

  stop() {
    this.#round += 1;
    this.#video.srcObject = null;
    this.#instants = [];
    this.rate = 0;
    this.#note(false);
  }

  /** @param {number} round */
  #next(round) {
    if (round !== this.#round) return;
    // a picture that comes while the one before is looked at is left out
    this.#video.requestVideoFrameCallback(async (now, { captureTime }) => {
      try {
        await this.#look(round, captureTime ?? now);
        this.#next(round);
      } catch (error) {
        this.stop();
        this.onFault(error);
      }
    });
  }

  /**
   * @param {number} round
   * @param {number} t when the picture was taken
   */
  async #look(round, t) {
    if (round !== this.#round) return;
    const face = await this.read(this.#video, performance.now(), t);
    if (round !== this.#round) return;
    const now = performance.now();
    if (face !== null) {
      this.#seen = now;
      this.#instants.push(now);
    }
    this.#instants = this.#instants.filter((instant) => now - instant < 1_000);
    this.rate = this.#instants.length;
    if (face !== null || now - this.#seen > PATIENCE) this.#note(face !== null);
    this.onFace(face);
  }

  /**
   * Reads the face in one picture of a sequence.
   * @param {HTMLVideoElement | OffscreenCanvas} picture
   * @param {number} now milliseconds, later than for the picture before
   * @param {number} [t] when it was taken, if not now
   * @returns {Promise<Face | null>} null where there is no face
   * @throws {BrokenTrackerError}
   */
  async read(picture, now, t = now) {
    const bitmap = await createImageBitmap(picture);
    const id = ++this.#count;
    /** @type {{found: Found | null} | {fault: string}} */
    const answer = await new Promise((resolve) => {
      this.#asked.set(id, resolve);
      this.#worker.postMessage({ id, picture: bitmap, now }, [bitmap]);
    });
    if ("fault" in answer) throw new BrokenTrackerError(answer.fault);
    const { found } = answer;
    if (found === null) return null;
    this.#home ??= placeOf(found.matrix);
    return { coefficients: coefficientsOf(found, this.#home), points: found.points, t };
  }

  /** @param {boolean} isSeen */
  #note(isSeen) {
    if (isSeen === this.#isSeen) return;
    this.#isSeen = isSeen;
    this.onSight(isSeen);
  }
}

/**
 * An address that the page's policy lets a worker be loaded from: one of ours, and no other.
 * @param {string} name
 * @returns {string}
 */
function trusted(name) {
  const place = new URL(name, document.baseURI).href;
  const { trustedTypes } = /** @type {any} */ (window);
  const policy = trustedTypes?.createPolicy("vivant-face-worker", { createScriptURL: () => place });
  return policy === undefined ? place : policy.createScriptURL("");
}
