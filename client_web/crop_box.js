/**
 * A square on a picture that is moved by dragging and by the arrow keys, and made larger and smaller
 * at its corner, by a slider or by plus and minus. Works in the picture's own pixels.
 */

import { byId } from "./dom.js";

/** @import { Part } from "./library_api.js" */

/** The smallest square, of the picture's shorter side. */
const SMALLEST = 0.08;

/** How far an arrow key moves it, and plus and minus change it, of the picture's shorter side. */
const STEP = 0.02;

/** How long keys rest before the square counts as chosen, in milliseconds. */
const REST = 500;

/** @type {Record<string, [number, number, number]>} */
const KEYS = {
  ArrowLeft: [-1, 0, 0],
  ArrowRight: [1, 0, 0],
  ArrowUp: [0, -1, 0],
  ArrowDown: [0, 1, 0],
  "+": [0, 0, 1],
  "=": [0, 0, 1],
  "-": [0, 0, -1],
};

export class CropBox {
  /** Called while it moves. */
  onMove = () => {};

  /** Called when somebody has moved it and let go. */
  onChosen = () => {};

  #box = byId("crop-box", HTMLButtonElement);
  #size = byId("crop-size", HTMLInputElement);
  #width = 1;
  #height = 1;
  #left = 0;
  #top = 0;
  #side = 1;
  #rest = 0;

  constructor() {
    this.#box.addEventListener("pointerdown", (event) => this.#grasp(event));
    this.#box.addEventListener("keydown", (event) => this.#onKey(event));
    this.#size.addEventListener("input", () => this.#resize(Number(this.#size.value) * this.#shorter));
    this.#size.addEventListener("change", () => this.onChosen());
    this.#size.min = String(SMALLEST);
  }

  /** What it encloses. @returns {Part} */
  get part() {
    const [left, top, side] = [this.#left, this.#top, this.#side].map(Math.round);
    return { left: left ?? 0, top: top ?? 0, width: side ?? 1, height: side ?? 1 };
  }

  get #shorter() {
    return Math.min(this.#width, this.#height);
  }

  /**
   * Takes another picture.
   * @param {number} width
   * @param {number} height
   */
  setPicture(width, height) {
    this.#width = width;
    this.#height = height;
  }

  /**
   * @param {number} left
   * @param {number} top
   * @param {number} side
   */
  place(left, top, side) {
    this.#side = Math.min(this.#shorter, Math.max(SMALLEST * this.#shorter, side));
    this.#left = between(0, left, this.#width - this.#side);
    this.#top = between(0, top, this.#height - this.#side);
    this.#draw();
  }

  /** @param {number} side around the same middle */
  #resize(side) {
    const middle = [this.#left + this.#side / 2, this.#top + this.#side / 2];
    const fitting = Math.min(this.#shorter, Math.max(SMALLEST * this.#shorter, side));
    this.place((middle[0] ?? 0) - fitting / 2, (middle[1] ?? 0) - fitting / 2, fitting);
  }

  /** @param {PointerEvent} event */
  #grasp(event) {
    const bounds = this.#box.parentElement?.getBoundingClientRect();
    if (event.button !== 0 || bounds === undefined) return;
    const scale = this.#width / bounds.width;
    const isCorner = event.target !== this.#box;
    const { clientX, clientY } = event;
    const [left, top, side] = [this.#left, this.#top, this.#side];
    /** @param {PointerEvent} moved */
    const drag = (moved) => {
      const [across, down] = [(moved.clientX - clientX) * scale, (moved.clientY - clientY) * scale];
      if (!isCorner) return this.place(left + across, top + down, side);
      const room = Math.min(this.#width - left, this.#height - top);
      return this.place(left, top, Math.min(room, side + (across + down) / 2));
    };
    const release = () => {
      this.#box.removeEventListener("pointermove", drag);
      this.#box.removeEventListener("pointerup", release);
      this.#box.removeEventListener("pointercancel", release);
      if (left !== this.#left || top !== this.#top || side !== this.#side) this.onChosen();
    };
    event.preventDefault(); // else the browser may take it for selecting, or dragging a picture away
    this.#box.focus();
    this.#box.setPointerCapture(event.pointerId);
    this.#box.addEventListener("pointermove", drag);
    this.#box.addEventListener("pointerup", release);
    this.#box.addEventListener("pointercancel", release);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = KEYS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const [across, down, larger] = step;
    const length = STEP * this.#shorter;
    if (larger !== 0) this.#resize(this.#side + larger * length);
    else this.place(this.#left + across * length, this.#top + down * length, this.#side);
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.onChosen(), REST);
  }

  #draw() {
    const { style } = this.#box;
    style.left = `${(100 * this.#left) / this.#width}%`;
    style.top = `${(100 * this.#top) / this.#height}%`;
    style.width = `${(100 * this.#side) / this.#width}%`;
    style.height = `${(100 * this.#side) / this.#height}%`;
    this.#size.value = String(this.#side / this.#shorter);
    this.onMove();
  }
}

/**
 * @param {number} low
 * @param {number} value
 * @param {number} high
 * @returns {number}
 */
function between(low, value, high) {
  return Math.max(low, Math.min(value, high));
}
