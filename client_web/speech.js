/**
 * The text box: what the portrait shall say, lines to try, and Stop. Knows no connection.
 */

import { byId, create, setText } from "./dom.js";

/** @import { SpeechState } from "./protocol.js" */

/** How a line begins, which is what its button shows, and how it goes on. @type {[string, string][]} */
const LINES = [
  ["To be, or not to be", ", that is the question."],
  ["Shall I compare thee", " to a summer's day? Thou art more lovely and more temperate."],
  ["All the world's a stage", ", and all the men and women merely players."],
];

/** The longest text that the server accepts at once, in characters. */
export const LONGEST_TEXT = 10_000;

/** From here on the number of characters is shown. */
const NEARLY_TOO_LONG = LONGEST_TEXT - 1_000;

/** @type {Record<SpeechState | "preparing", string>} */
const STATES = {
  idle: "At rest",
  preparing: "Drawing breath…",
  listening: "Listening",
  thinking: "Thinking…",
  speaking: "Speaking",
};

export class Speech {
  /** @type {(text: string) => boolean} says it; false when it could not be sent */
  onSpeak = () => false;
  onInterrupt = () => {};

  #form = byId("speech", HTMLFormElement);
  #text = byId("text", HTMLTextAreaElement);
  #speak = byId("speak", HTMLButtonElement);
  #interrupt = byId("interrupt", HTMLButtonElement);
  #count = byId("text-count", HTMLElement);
  #latest = "";

  constructor() {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener("keydown", (event) => this.#onKey(event));
    this.#text.addEventListener("input", () => this.#showCount());
    this.#interrupt.addEventListener("click", () => this.onInterrupt());
    document.addEventListener("keydown", (event) => {
      // Escape closes what lies on top first
      const isTaken = event.defaultPrevented || document.querySelector("dialog[open], .figures[open], .films[open]");
      if (event.key === "Escape" && !isTaken && !this.#interrupt.disabled) this.onInterrupt();
    });
    byId("chips", HTMLElement).append(...LINES.map((line) => this.#chip(...line)));
    this.setState("idle");
  }

  /** Forgets that speech was asked for: it was cut off before it began, or refused. */
  giveUp() {
    if (document.body.dataset["speech"] === "preparing") this.setState("idle");
  }

  /** @param {SpeechState | "preparing"} state */
  setState(state) {
    document.body.dataset["speech"] = state;
    setText(byId("speech-state", HTMLElement), STATES[state]);
    this.#interrupt.disabled = state !== "speaking" && state !== "preparing";
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    // an input method uses Enter to accept a word
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#form.requestSubmit();
    }
    if (event.key === "ArrowUp" && this.#text.value === "" && this.#latest !== "") {
      event.preventDefault();
      this.#text.value = this.#latest;
    }
  }

  #submit() {
    const text = this.#text.value.trim();
    if (text === "") {
      this.#text.focus();
      return;
    }
    if (text.length > LONGEST_TEXT) {
      this.#showCount();
      return;
    }
    if (!this.#say(text)) return;
    this.#text.value = "";
    this.#showCount();
  }

  /**
   * @param {string} text
   * @returns {boolean}
   */
  #say(text) {
    const isSent = this.onSpeak(text);
    if (isSent) this.#latest = text;
    return isSent;
  }

  #showCount() {
    const length = this.#text.value.trim().length;
    const isTooLong = length > LONGEST_TEXT;
    const count = `${length.toLocaleString("en")} of ${LONGEST_TEXT.toLocaleString("en")} characters`;
    setText(this.#count, length < NEARLY_TOO_LONG ? "" : isTooLong ? `${count}: shorten it to speak it.` : count);
    this.#count.classList.toggle("fault", isTooLong);
    this.#text.setAttribute("aria-invalid", String(isTooLong));
    this.#speak.disabled = isTooLong;
  }

  /**
   * @param {string} beginning
   * @param {string} rest
   * @returns {HTMLLIElement}
   */
  #chip(beginning, rest) {
    const line = beginning + rest;
    const button = create("button", { type: "button", className: "chip", title: line }, `${beginning}…`);
    button.ariaLabel = `Speak: ${line}`;
    button.addEventListener("click", () => this.#say(line));
    return create("li", {}, button);
  }
}
