/**
 * The visitor's camera as a mirror shows it, with the face that was found in it.
 */

import { byId, setText } from "./dom.js";

/** @import { Face } from "./face_tracker.js" */

/** Between two words about the pace, in milliseconds. */
const PERIOD = 500;

export class Mirror {
  #frame = byId("mirror", HTMLElement);
  #video = byId("mirror-video", HTMLVideoElement);
  #canvas = byId("mirror-points", HTMLCanvasElement);
  #mark = byId("mirror-mark", HTMLElement);
  #latest = 0;

  /** @param {MediaStream | null} stream null to put it away */
  show(stream) {
    this.#video.srcObject = stream;
    this.#frame.hidden = stream === null;
    delete this.#frame.dataset["face"];
    setText(this.#mark, "Looking for a face…");
    this.#canvas.getContext("2d")?.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  /**
   * @param {Face | null} face
   * @param {number} rate faces a second
   */
  draw(face, rate) {
    const { videoWidth: width, videoHeight: height } = this.#video;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    const context = this.#canvas.getContext("2d");
    if (context === null) return;
    context.clearRect(0, 0, width, height);
    context.fillStyle = "#d9b97c";
    const points = face?.points ?? [];
    const dot = width / 240;
    for (let place = 0; place < points.length; place += 3) {
      context.fillRect((points[place] ?? 0) * width, (points[place + 1] ?? 0) * width, dot, dot);
    }
    const now = performance.now();
    if (now - this.#latest < PERIOD) return;
    this.#latest = now;
    if (face !== null) setText(this.#mark, `Face seen · ${rate} a second`);
  }

  /** @param {boolean} isSeen */
  mark(isSeen) {
    this.#frame.dataset["face"] = isSeen ? "seen" : "lost";
    setText(this.#mark, isSeen ? "Face seen" : "No face");
  }
}
