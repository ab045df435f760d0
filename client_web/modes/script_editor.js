/**
 * The script's text box. A layer behind it holds the same words, unseen, and colours what stands
 * behind them: marks, faults, the sentence that is heard. Knows no server.
 */

import { byId, create } from "../dom.js";
import { marksIn, pieceUp } from "./script_text.js";

/** @import { Range } from "./script_text.js" */

export class ScriptEditor {
  /** Called when the visitor changed the text. */
  onInput = () => {};

  /** Called when Ctrl and Enter are pressed. */
  onEnter = () => {};

  #box = byId("script", HTMLTextAreaElement);
  #layer = byId("script-layer", HTMLElement);

  constructor() {
    this.#box.addEventListener("input", () => {
      this.show(marksIn(this.text));
      this.onInput();
    });
    this.#box.addEventListener("scroll", () => this.#follow());
    this.#box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.onEnter();
    });
    new ResizeObserver(() => this.#fit()).observe(this.#box);
  }

  get text() {
    return this.#box.value;
  }

  set text(text) {
    if (text === this.#box.value) return;
    this.#box.value = text;
    this.show(marksIn(text));
  }

  /** Where the visitor writes. */
  get place() {
    return this.#box.selectionStart;
  }

  get isFocused() {
    return document.activeElement === this.#box;
  }

  /**
   * Puts words where the visitor writes, as if they were typed.
   * @param {string} words
   */
  insert(words) {
    const before = this.text.slice(0, this.#box.selectionStart);
    const isGlued = before !== "" && !/\s$/.test(before);
    this.#box.focus();
    this.#box.setRangeText(`${isGlued ? " " : ""}${words} `, this.#box.selectionStart, this.#box.selectionEnd, "end");
    this.#box.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }

  /**
   * Goes to a place in the text.
   * @param {number} start
   * @param {number} end
   */
  select(start, end) {
    this.#box.focus();
    this.#box.setSelectionRange(start, end);
  }

  /**
   * Colours ranges of the text; they may overlap.
   * @param {Range[]} ranges
   */
  show(ranges) {
    const text = this.text;
    const pieces = pieceUp(text, ranges).map(({ words, kinds }) => {
      const className = kinds.map((kind) => `is-${kind}`).join(" ");
      return className === "" ? words : create("span", { className }, words);
    });
    // a last line without words has no height otherwise
    this.#layer.replaceChildren(...pieces, "\n");
    this.#follow();
  }

  /** Brings the coloured sentence into sight, unless the visitor is writing. */
  reveal() {
    const now = this.#layer.querySelector(".is-now");
    if (!(now instanceof HTMLElement) || this.isFocused) return;
    const top = now.offsetTop - this.#layer.offsetTop;
    const isSeen = top >= this.#box.scrollTop && top + now.offsetHeight <= this.#box.scrollTop + this.#box.clientHeight;
    if (!isSeen) this.#box.scrollTop = Math.max(0, top - this.#box.clientHeight / 3);
  }

  #follow() {
    this.#layer.scrollTop = this.#box.scrollTop;
  }

  /** The visitor may have pulled the box to another size. */
  #fit() {
    this.#layer.style.height = `${this.#box.offsetHeight}px`;
    this.#follow();
  }
}
