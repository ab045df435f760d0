/**
 * The picture on the wall: still, video, sound, full screen, and what is said when there is
 * no picture. Knows no connection.
 */

import { byId, setText } from "./dom.js";
import { recall, remember } from "./preferences.js";

/** @import { Layout } from "./protocol.js" */

export class Stage {
  /** Called by the button that is shown when there is no picture. */
  onRetry = () => {};

  /** Called when a transparent picture arrives that this browser cannot show. */
  onUnable = () => {};

  #video = byId("video", HTMLVideoElement);
  #still = byId("still", HTMLImageElement);
  #unlock = byId("unlock", HTMLButtonElement);
  #sound = byId("sound", HTMLButtonElement);
  #full = byId("full", HTMLButtonElement);
  #stage = byId("stage", HTMLElement);
  #veil = byId("veil", HTMLElement);
  #wantsSound = recall("sound") !== "off";
  #countdown = 0;
  #composites = false;

  constructor() {
    this.#still.addEventListener("load", () => (this.#still.hidden = false));
    this.#unlock.addEventListener("click", () => this.#play());
    this.#sound.addEventListener("click", () => this.#toggleSound());
    this.#full.addEventListener("click", () => void this.#toggleFull());
    this.#full.hidden = !document.fullscreenEnabled;
    document.addEventListener("fullscreenchange", () => this.#showFull());
    byId("veil-retry", HTMLButtonElement).addEventListener("click", () => this.onRetry());
    // any deliberate act on the page lets the browser play sound
    for (const act of ["pointerup", "keydown"]) {
      document.addEventListener(act, () => {
        if (!this.#unlock.hidden) this.#play();
      });
    }
    this.#showSound();
    if (recall("speaker") !== null) void this.#useSpeaker();
  }

  /**
   * Shows a portrait's still image, which lies behind the video until that plays.
   * @param {string} url
   * @param {string} name
   */
  showStill(url, name) {
    if (this.#still.src !== url) this.#still.src = url;
    setText(byId("portrait-name", HTMLElement), name);
    this.#video.setAttribute("aria-label", `${name}, live, AI-generated`);
  }

  /**
   * Readies the page for pictures of a layout, which come some tenths of a second later.
   * @param {Layout} layout
   */
  async expect(layout) {
    if (layout !== "packed" || this.#composites) return;
    this.#composites = true;
    const { Compositor } = await import("./compositor.js");
    const compositor = new Compositor(this.#video, byId("composite", HTMLCanvasElement));
    compositor.onLayout = (shown) => (document.body.dataset["layout"] = shown);
    compositor.onUnable = () => {
      document.body.dataset["webgl"] = "none";
      this.onUnable();
    };
  }

  /**
   * Plays the living portrait, and reveals it at its first frame.
   * @param {MediaStream} stream
   */
  show(stream) {
    this.hideVeil();
    this.#video.srcObject = stream;
    this.#video.requestVideoFrameCallback(() => {
      document.body.dataset["picture"] = "live";
    });
    this.#play();
  }

  /** Where the stream is seen. */
  get video() {
    return this.#video;
  }

  /** Takes the video away; the still remains. */
  clear() {
    document.body.dataset["picture"] = "still";
    this.#video.srcObject = null;
    this.#unlock.hidden = true;
  }

  /**
   * Says why there is no living picture.
   * @param {object} words
   * @param {string} words.title
   * @param {string} words.message
   * @param {string} [words.action] what the button does; without it there is none
   * @param {number} [words.seconds] until the next attempt
   */
  showVeil({ title, message, action, seconds }) {
    clearInterval(this.#countdown);
    setText(byId("veil-title", HTMLElement), title);
    const button = byId("veil-retry", HTMLElement);
    button.hidden = action === undefined;
    if (action !== undefined) setText(button, action);
    const text = byId("veil-text", HTMLElement);
    setText(text, message);
    if (seconds !== undefined) {
      const end = performance.now() + seconds * 1000;
      const tick = () => {
        const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
        setText(text, left > 0 ? `${message} Trying again in ${left} s.` : `${message} Trying again.`);
      };
      tick();
      this.#countdown = setInterval(tick, 250);
    }
    this.#veil.hidden = false;
  }

  hideVeil() {
    clearInterval(this.#countdown);
    this.#veil.hidden = true;
  }

  #play() {
    if (this.#video.srcObject === null) return;
    this.#video.muted = !this.#wantsSound;
    this.#video.play().then(
      () => (this.#unlock.hidden = true),
      (error) => this.#onRefusal(error),
    );
  }

  /** @param {unknown} error */
  #onRefusal(error) {
    // a newer stream took the place of this one
    if (error instanceof DOMException && error.name === "AbortError") return;
    if (!(error instanceof DOMException) || error.name !== "NotAllowedError") throw error;
    this.#unlock.hidden = false;
    this.#video.muted = true;
    void this.#video.play();
  }

  #toggleSound() {
    this.#wantsSound = !this.#wantsSound;
    remember("sound", this.#wantsSound ? "on" : "off");
    this.#showSound();
    this.#play();
  }

  #showSound() {
    this.#sound.setAttribute("aria-pressed", String(this.#wantsSound));
    this.#sound.title = this.#wantsSound ? "Sound is on" : "Sound is off";
    this.#video.muted = !this.#wantsSound;
  }

  async #useSpeaker() {
    const { CAN_CHOOSE, useSpeaker } = await import("./speaker.js");
    if (CAN_CHOOSE && window.isSecureContext) await useSpeaker(this.#video);
  }

  async #toggleFull() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await this.#stage.requestFullscreen();
  }

  #showFull() {
    const isFull = document.fullscreenElement !== null;
    this.#full.setAttribute("aria-pressed", String(isFull));
    this.#full.title = isFull ? "Leave full screen" : "Full screen";
  }
}
