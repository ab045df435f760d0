/**
 * A snapshot from the visitor's camera: preview, take, take another, use.
 */

import { explainDevice } from "./device_words.js";
import { byId } from "./dom.js";

export class Camera {
  /** @type {(image: Blob) => void} */
  onSnapshot = () => {};

  #video = byId("camera", HTMLVideoElement);
  #image = byId("snapshot", HTMLImageElement);
  #snap = byId("snap", HTMLButtonElement);
  #use = byId("use-snapshot", HTMLButtonElement);
  #retake = byId("retake", HTMLButtonElement);
  /** @type {MediaStream | null} */
  #stream = null;
  /** @type {Blob | null} */
  #taken = null;

  constructor() {
    this.#snap.addEventListener("click", () => void this.#take());
    this.#retake.addEventListener("click", () => this.#show(null));
    this.#use.addEventListener("click", () => {
      if (this.#taken !== null) this.onSnapshot(this.#taken);
    });
  }

  /**
   * Opens the camera.
   * @returns {Promise<string | null>} why it did not open, or null
   */
  async start() {
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 960 } },
      });
    } catch (error) {
      return explainDevice(error, "camera");
    }
    this.#video.srcObject = this.#stream;
    this.#show(null);
    return null;
  }

  stop() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.#video.srcObject = null;
    this.#show(null);
  }

  async #take() {
    const canvas = document.createElement("canvas");
    canvas.width = this.#video.videoWidth;
    canvas.height = this.#video.videoHeight;
    const context = canvas.getContext("2d");
    if (context === null || canvas.width === 0) return;
    // as in the preview, which is a mirror: people know themselves that way
    context.translate(canvas.width, 0);
    context.scale(-1, 1);
    context.drawImage(this.#video, 0, 0);
    /** @type {Blob | null} */
    const image = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
    this.#show(image);
  }

  /** @param {Blob | null} image */
  #show(image) {
    if (this.#image.src.startsWith("blob:")) URL.revokeObjectURL(this.#image.src);
    this.#taken = image;
    if (image === null) this.#image.removeAttribute("src");
    else this.#image.src = URL.createObjectURL(image);
    const isTaken = image !== null;
    const hadFocus = document.activeElement;
    this.#image.hidden = this.#use.hidden = this.#retake.hidden = !isTaken;
    this.#video.hidden = this.#snap.hidden = isTaken;
    if (hadFocus === this.#snap) this.#use.focus();
    if (hadFocus === this.#retake) this.#snap.focus();
  }
}
