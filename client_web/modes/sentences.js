/**
 * A script's sentences as a list: the one that is heard is marked, and each can be gone to.
 * Knows no server.
 */

import { byId, create } from "../dom.js";

/** @import { Script, Sentence } from "../protocol.js" */

export class Sentences {
  /** @type {(index: number) => void} */
  onChoose = () => {};

  #list = byId("script-sentences", HTMLOListElement);
  /** @type {HTMLButtonElement[]} */
  #buttons = [];
  /** @type {Script | null} */
  #shown = null;

  constructor() {
    this.#list.addEventListener("click", ({ target }) => {
      const button = target instanceof Element ? target.closest("button") : null;
      if (button !== null) this.onChoose(this.#buttons.indexOf(button));
    });
    this.#list.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /**
   * @param {Script | null} script
   * @param {number | null} now the sentence that is heard, null while nothing is read
   */
  show(script, now) {
    if (script !== this.#shown) this.#fill(script);
    for (const [index, button] of this.#buttons.entries()) {
      button.classList.toggle("is-said", now !== null && index < now);
      if (index === now) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    const button = now === null ? undefined : this.#buttons[now];
    if (button !== undefined) this.#reveal(button);
  }

  /** @param {Script | null} script */
  #fill(script) {
    this.#shown = script;
    this.#buttons = (script?.sentences ?? []).map(toButton);
    this.#list.replaceChildren(...this.#buttons.map((button) => create("li", {}, button)));
    this.#list.hidden = this.#buttons.length === 0;
    const first = this.#buttons[0];
    if (first !== undefined) first.tabIndex = 0;
  }

  /**
   * Scrolls the list alone: the page stays where the visitor has it.
   * @param {HTMLElement} button
   */
  #reveal(button) {
    if (this.#list.contains(document.activeElement)) return;
    const top = button.offsetTop - this.#list.offsetTop;
    const isSeen = top >= this.#list.scrollTop && top + button.offsetHeight <= this.#list.scrollTop + this.#list.clientHeight;
    if (!isSeen) this.#list.scrollTop = Math.max(0, top - this.#list.clientHeight / 3);
  }

  /**
   * One stop for the Tab key; arrows go from sentence to sentence.
   * @param {KeyboardEvent} event
   */
  #onKey(event) {
    const here = this.#buttons.findIndex((button) => button === document.activeElement);
    const last = this.#buttons.length - 1;
    const places = { ArrowDown: Math.min(here + 1, last), ArrowUp: Math.max(here - 1, 0), Home: 0, End: last };
    if (here < 0 || !(event.key in places)) return;
    event.preventDefault();
    const next = this.#buttons[places[/** @type {keyof typeof places} */ (event.key)]];
    for (const button of this.#buttons) button.tabIndex = button === next ? 0 : -1;
    next?.focus();
  }
}

/**
 * @param {Sentence} sentence
 * @returns {HTMLButtonElement}
 */
function toButton({ text, recorded_ms: recorded }) {
  const words = text.trim() === "" ? "(silence)" : text;
  const button = create("button", { type: "button", tabIndex: -1 }, words);
  if (recorded !== null) button.prepend(create("span", { className: "fine" }, `${clock(recorded[0])} `));
  return button;
}

/**
 * @param {number} milliseconds
 * @returns {string} such as "1:05"
 */
export function clock(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
