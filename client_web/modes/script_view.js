/**
 * What is shown of the script besides its text: what it does and how far it is, its sentences, what
 * was not understood, its marks. Knows no server.
 */

import { byId, create, setText } from "../dom.js";
import { clock, Sentences } from "./sentences.js";
import { listMarks } from "./script_marks.js";
import { faultRanges } from "./script_text.js";

/** @import { Info, Script, ScriptState } from "../protocol.js" */

/**
 * @typedef {object} Shown
 * @property {Script | null} script as the server has it
 * @property {ScriptState} state
 * @property {number | null} now the sentence that is heard, or was when it paused
 * @property {string | null} recording the name of the recording that is read
 * @property {boolean} isChanged whether the visitor's text is another than the server's
 * @property {boolean} isShown whether the text box holds the server's text
 * @property {boolean} isLive
 */

export class ScriptView {
  onPlay = () => {};
  onPauseAtEnd = () => {};
  onRestart = () => {};
  onApply = () => {};
  onRemove = () => {};
  /** @type {(index: number) => void} */
  onSentence = () => {};
  /** @type {(start: number, end: number) => void} */
  onFault = () => {};

  #group = byId("script-group", HTMLElement);
  #play = byId("script-play", HTMLButtonElement);
  #pauseAtEnd = byId("script-pause-end", HTMLButtonElement);
  #restart = byId("script-restart", HTMLButtonElement);
  #apply = byId("script-apply", HTMLButtonElement);
  #progress = byId("script-progress", HTMLProgressElement);
  #words = byId("script-state", HTMLElement);
  #faults = byId("script-faults", HTMLElement);
  #sentences = new Sentences();
  /** The script whose faults are shown. @type {Script | null} */
  #judged = null;
  #isBusy = false;

  /**
   * @param {() => Info | null} info
   * @param {(mark: string) => void} insert
   */
  constructor(info, insert) {
    this.#play.addEventListener("click", () => this.onPlay());
    this.#pauseAtEnd.addEventListener("click", () => this.onPauseAtEnd());
    this.#restart.addEventListener("click", () => this.onRestart());
    this.#apply.addEventListener("click", () => this.onApply());
    byId("script-remove", HTMLButtonElement).addEventListener("click", () => this.onRemove());
    this.#sentences.onChoose = (index) => this.onSentence(index);
    const marks = byId("script-mark-list", HTMLElement);
    byId("script-help", HTMLDetailsElement).addEventListener("toggle", () => {
      if (marks.childElementCount === 0) listMarks(marks, info(), insert);
    });
  }

  /** @param {Shown} shown */
  show(shown) {
    const { script, state, now, recording, isChanged, isLive } = shown;
    const isBusy = state === "playing" || state === "pausing";
    const hasBegun = isBusy || state === "paused" || state === "ended";
    setText(byId("script-play-text", HTMLElement), isBusy ? "Pause" : state === "paused" ? "Go on" : "Read it");
    this.#play.dataset["state"] = isBusy ? "playing" : "still";
    this.#play.disabled = this.#isBusy;
    this.#pauseAtEnd.hidden = state !== "playing";
    this.#restart.hidden = state !== "paused";
    this.#apply.hidden = !(isBusy && isChanged);
    this.#showRecording(recording, script);
    this.#sentences.show(hasBegun || recording !== null ? script : null, now);
    this.#showProgress(script, state, now);
    this.#showFaults(shown);
    if (!this.#isBusy) setText(this.#words, isLive ? describe(shown) : "");
  }

  /**
   * Says that something takes its time; null that it is over.
   * @param {string | null} words
   */
  showBusy(words) {
    this.#isBusy = words !== null;
    this.#group.setAttribute("aria-busy", String(this.#isBusy));
    this.#play.disabled = this.#isBusy;
    if (words !== null) setText(this.#words, words);
  }

  /** @param {boolean} isOver whether a file is held over the page */
  showDrop(isOver) {
    this.#group.classList.toggle("is-over", isOver);
  }

  /**
   * @param {string | null} recording
   * @param {Script | null} script
   */
  #showRecording(recording, script) {
    const isRecording = recording !== null;
    byId("script-recording", HTMLElement).hidden = !isRecording;
    byId("script-editor", HTMLElement).hidden = isRecording;
    setText(byId("script-name", HTMLElement), recording ?? "");
    const end = script?.sentences.at(-1)?.recorded_ms?.[1];
    setText(byId("script-length", HTMLElement), end === undefined ? "" : clock(end));
  }

  /**
   * @param {Script | null} script
   * @param {ScriptState} state
   * @param {number | null} now
   */
  #showProgress(script, state, now) {
    const sentences = script?.sentences ?? [];
    const sizes = sentences.map(({ text }) => text.length + 1);
    const all = sizes.reduce((sum, size) => sum + size, 0);
    const said = sizes.slice(0, now ?? 0).reduce((sum, size) => sum + size, 0);
    this.#progress.hidden = now === null && state !== "ended";
    this.#progress.value = state === "ended" ? 1 : said / Math.max(all, 1);
  }

  /** @param {Shown} shown */
  #showFaults({ script, isShown, recording }) {
    const judged = isShown || recording !== null ? script : null;
    if (judged === this.#judged) return;
    this.#judged = judged;
    const ranges = judged === null ? [] : faultRanges(judged);
    const items = (judged?.warnings ?? []).map(({ line, column, message }, index) => {
      const words = `Line ${line}, column ${column}: ${message}`;
      const button = create("button", { type: "button" }, words);
      const range = ranges[index];
      if (range) button.addEventListener("click", () => this.onFault(range.start, range.end));
      return create("li", {}, button);
    });
    this.#faults.replaceChildren(...items);
  }
}

/**
 * @param {Shown} shown
 * @returns {string}
 */
function describe({ script, state, now, isChanged, isShown, recording }) {
  const count = script?.sentences.length ?? 0;
  const place = `sentence ${(now ?? 0) + 1} of ${count}`;
  switch (state) {
    case "playing":
      return isChanged ? `Reading ${place}; what you changed is not read yet.` : `Reading ${place}.`;
    case "pausing":
      return "It pauses after this sentence.";
    case "paused":
      return `Paused in ${place}.`;
    case "ended":
      return "It was read to the end.";
    case "ready":
      return isShown || recording !== null ? inAll(count, script?.warnings.length ?? 0) : "";
    case "empty":
      return "";
  }
}

/**
 * @param {number} sentences
 * @param {number} faults
 * @returns {string}
 */
function inAll(sentences, faults) {
  const words = sentences === 1 ? "One sentence" : `${sentences} sentences`;
  if (faults === 0) return `${words}.`;
  return `${words}; ${faults === 1 ? "one mark is" : `${faults} marks are`} not understood and not spoken.`;
}
