/**
 * The words being spoken, over the picture.
 */

import { byId, setText } from "./dom.js";
import { recall, remember } from "./preferences.js";

/** About two lines on a phone. */
const LONGEST = 90;

/** Milliseconds that the last words stay after the speech. */
const STAY = 2_500;

export class Captions {
  #line = byId("captions", HTMLElement);
  #switch = byId("captions-switch", HTMLButtonElement);
  #isWanted = recall("captions") !== "off";
  /** @type {number | null} */
  #utterance = null;
  #text = "";
  #leaving = 0;

  constructor() {
    this.#switch.addEventListener("click", () => this.#toggle());
    this.#show();
  }

  /**
   * @param {number} utterance
   * @param {string} text what is being said next
   */
  add(utterance, text) {
    clearTimeout(this.#leaving);
    if (utterance !== this.#utterance) this.#text = "";
    this.#utterance = utterance;
    this.#text = tail(join(this.#text, text));
    this.#show();
  }

  /** Lets the last words go: soon after the speech, at once when it was cut off. */
  end({ isInterrupted = false } = {}) {
    clearTimeout(this.#leaving);
    if (isInterrupted) this.clear();
    else this.#leaving = setTimeout(() => this.clear(), STAY);
  }

  clear() {
    this.#text = "";
    this.#utterance = null;
    this.#show();
  }

  #toggle() {
    this.#isWanted = !this.#isWanted;
    remember("captions", this.#isWanted ? "on" : "off");
    this.#show();
  }

  #show() {
    this.#switch.setAttribute("aria-pressed", String(this.#isWanted));
    this.#switch.title = this.#isWanted ? "Captions are on" : "Captions are off";
    setText(this.#line, this.#text.trim());
    this.#line.hidden = !this.#isWanted || this.#text.trim() === "";
  }
}

/**
 * Joins two pieces of text, with a space where both sides forgot it.
 * @param {string} before
 * @param {string} after
 * @returns {string}
 */
export function join(before, after) {
  const isGlued = /[\p{L}\p{N}\p{P}]$/u.test(before) && /^[\p{L}\p{N}]/u.test(after);
  const isScriptWithoutSpaces = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(after);
  return isGlued && !isScriptWithoutSpaces ? `${before} ${after}` : before + after;
}

/**
 * The end of a text, cut at a word.
 * @param {string} text
 * @returns {string}
 */
export function tail(text) {
  if (text.length <= LONGEST) return text;
  const end = text.slice(-LONGEST);
  return `…${end.slice(end.indexOf(" ") + 1)}`;
}
