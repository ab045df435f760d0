/**
 * What is seen of the element: still, video, captions, the button that starts it and the words when
 * there is no picture. Knows no connection.
 */

import { CaptionLine } from "../caption_line.js";
import { Compositor } from "../compositor.js";
import { create, setText } from "../dom.js";
import { STYLES } from "./styles.js";

/** @type {CSSStyleSheet | null} */
let sheet = null;

export class Surface {
  /** Called when the visitor wants it to begin, or to be heard. */
  onStart = () => {};

  /** Called when the visitor does not want to wait for the next attempt. */
  onRetry = () => {};

  /** Called when a transparent picture arrives that this browser cannot show. */
  onUnable = () => {};

  captions = new CaptionLine((text) => this.#showWords(text));

  #still = create("img", { className: "picture", alt: "", hidden: true });
  #video = create("video", { className: "picture away", playsInline: true });
  #canvas = create("canvas", { className: "picture away" });
  #words = create("p", { className: "captions", hidden: true });
  #start = create("button", { className: "start", type: "button" });
  #startSlot = create("slot", { name: "start" }, "Start");
  #soundSlot = create("slot", { name: "sound" }, "Start with sound");
  #title = create("p");
  #message = create("p");
  #retry = create("button", { className: "retry", type: "button" });
  #notice = create("div", { className: "notice", hidden: true }, this.#title, this.#message, this.#retry);
  /** @type {"plain" | "packed"} */
  #layout = "plain";
  #isLive = false;
  #wantsSound = true;
  #wantsCaptions = false;

  /** @param {ShadowRoot} root */
  constructor(root) {
    sheet ??= makeSheet();
    root.adoptedStyleSheets = [sheet];
    const disc = create("span", { className: "disc" });
    disc.setAttribute("aria-hidden", "true");
    const label = create("span", { className: "words" }, this.#startSlot, this.#soundSlot);
    this.#start.append(disc, label);
    this.#title.setAttribute("role", "status");
    name(this.#still, "picture still");
    name(this.#video, "picture video");
    name(this.#canvas, "picture canvas");
    name(this.#words, "captions");
    name(this.#start, "start");
    name(this.#notice, "notice");
    name(this.#retry, "retry");
    root.append(this.#still, this.#video, this.#canvas, this.#words, this.#notice, this.#start);
    this.#start.addEventListener("click", () => this.onStart());
    this.#retry.addEventListener("click", () => this.onRetry());
    this.#still.addEventListener("load", () => (this.#still.hidden = false));
    const compositor = new Compositor(this.#video, this.#canvas);
    compositor.onLayout = (layout) => {
      this.#layout = layout;
      this.#showPicture();
    };
    compositor.onUnable = () => this.onUnable();
  }

  /**
   * Shows a portrait's picture at rest, behind the video.
   * @param {string} url
   */
  showStill(url) {
    if (this.#still.src !== url) this.#still.src = url;
  }

  /**
   * @param {string} label what the picture is, for those who do not see it
   */
  describe(label) {
    this.#video.setAttribute("aria-label", label);
    this.#canvas.setAttribute("aria-label", label);
    this.#canvas.setAttribute("role", "img");
  }

  /** Shows the button that starts it. */
  offerStart() {
    this.#startSlot.hidden = false;
    this.#soundSlot.hidden = true;
    this.#start.hidden = false;
  }

  withdrawStart() {
    this.#start.hidden = true;
  }

  /** Where the stream is seen. */
  get video() {
    return this.#video;
  }

  /** @param {MediaStream} stream */
  play(stream) {
    this.#notice.hidden = true;
    this.#video.srcObject = stream;
    this.#video.requestVideoFrameCallback(() => {
      this.#isLive = true;
      this.#showPicture();
    });
    void this.listen();
  }

  /** Plays with sound if it is wanted and the browser lets it; else silently, with a button. */
  async listen() {
    const video = this.#video;
    if (video.srcObject === null) return;
    this.#start.hidden = true;
    video.muted = !this.#wantsSound;
    try {
      await video.play();
    } catch (error) {
      const isRefused = error instanceof DOMException && error.name === "NotAllowedError";
      // otherwise a newer stream took this one's place, or it ended
      if (!isRefused) return;
      this.#startSlot.hidden = true;
      this.#soundSlot.hidden = false;
      this.#start.hidden = false;
      video.muted = true;
      await video.play();
    }
  }

  /** Takes the video away; the still remains. */
  clear() {
    this.#isLive = false;
    this.#video.srcObject = null;
    this.#showPicture();
    this.captions.clear();
  }

  /** @param {boolean} isMuted */
  mute(isMuted) {
    this.#wantsSound = !isMuted;
    if (isMuted) this.#video.muted = true;
    else if (this.#isLive) void this.listen();
  }

  /** @param {boolean} wants */
  caption(wants) {
    this.#wantsCaptions = wants;
    this.#words.hidden = !wants || this.#words.textContent === "";
  }

  /**
   * Says why there is no living picture; without words, nothing.
   * @param {{title?: string, message: string, action?: string} | null} words
   */
  notify(words) {
    this.#notice.hidden = words === null;
    if (words === null) return;
    setText(this.#title, words.title ?? words.message);
    setText(this.#message, words.title === undefined ? "" : words.message);
    this.#retry.hidden = words.action === undefined;
    setText(this.#retry, words.action ?? "");
  }

  #showPicture() {
    const isPacked = this.#layout === "packed";
    this.#canvas.classList.toggle("away", !this.#isLive || !isPacked);
    this.#video.classList.toggle("away", !this.#isLive || isPacked);
    // a transparent picture would show the still through
    this.#still.classList.toggle("away", this.#isLive);
  }

  /** @param {string} text */
  #showWords(text) {
    setText(this.#words, text.trim());
    this.#words.hidden = !this.#wantsCaptions || text.trim() === "";
  }
}

/**
 * @param {Element} element
 * @param {string} part
 */
function name(element, part) {
  element.setAttribute("part", part);
}

/** @returns {CSSStyleSheet} */
function makeSheet() {
  const made = new CSSStyleSheet();
  made.replaceSync(STYLES);
  return made;
}
