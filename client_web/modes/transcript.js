/**
 * What was said in a conversation, as it is shown: the visitor's words, the portrait's as they are
 * written and spoken, what of them nobody heard, and what else happened. Knows no connection.
 */

import { byId, create } from "../dom.js";

/** @import { HistoryEntry, Source } from "../protocol.js" */

/** How near its end the log counts as read to the end, in CSS pixels. */
const NEAR = 24;

/**
 * One answer of the portrait.
 * @typedef {object} Answer
 * @property {HTMLLIElement} item
 * @property {HTMLElement} words
 * @property {string} text what was written of it
 * @property {number} reached characters of which the speech has at least begun
 * @property {number} turn
 */

export class Transcript {
  #log = byId("converse-log", HTMLElement);
  #list = byId("converse-turns", HTMLElement);
  /** Answers that are not over, by utterance. @type {Map<number, Answer>} */
  #open = new Map();
  /** The visitor's latest words. @type {{turn: number, words: HTMLElement} | null} */
  #latest = null;
  /** Answers that were cut off before anything was heard, to the turn that may yet go on. @type {Answer[]} */
  #unheard = [];
  #isAtEnd = true;

  constructor() {
    this.#log.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.#log;
      this.#isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR;
      this.#log.classList.toggle("is-scrolled", scrollTop > 0);
    });
  }

  get isEmpty() {
    return this.#list.childElementCount === 0;
  }

  /**
   * The visitor said something; of one turn there may be several pieces.
   * @param {number} turn
   * @param {string} text
   * @param {Source} source
   */
  addUser(turn, text, source) {
    if (this.#latest?.turn === turn) {
      // they went on: what was to be answered is all of it, and no answer was begun
      for (const { item } of this.#unheard) item.remove();
      this.#latest.words.append(` ${text}`);
    } else {
      const words = create("p", { className: "words" }, text);
      this.#add("turn turn-user", source === "voice" ? "You, by voice" : "You", words);
      this.#latest = { turn, words };
    }
    this.#unheard = [];
    this.follow(true);
  }

  /**
   * More of an answer was written.
   * @param {number} utterance
   * @param {string} text
   */
  write(utterance, text) {
    const answer = this.#open.get(utterance) ?? this.#begin(utterance, this.#latest?.turn ?? 0);
    answer.text += text;
    this.#show(answer);
  }

  /**
   * These words of an answer are being said from now on.
   * @param {number} utterance
   * @param {string} words
   */
  reach(utterance, words) {
    const answer = this.#open.get(utterance);
    if (answer === undefined) return;
    const place = answer.text.indexOf(words.trim(), answer.reached);
    answer.reached = place < 0 ? answer.text.length : place + words.trim().length;
    this.#show(answer);
  }

  /**
   * An answer is over.
   * @param {number} utterance
   * @param {{characters: number | null, isInterrupted: boolean}} end how many characters were heard
   * @returns {boolean} whether more was said than is written here
   */
  end(utterance, { characters, isInterrupted }) {
    const answer = this.#open.get(utterance);
    if (answer === undefined) return false;
    this.#open.delete(utterance);
    answer.item.removeAttribute("aria-busy");
    const letters = [...answer.text]; // the server counts code points
    const heard = letters.slice(0, characters ?? (isInterrupted ? 0 : letters.length)).join("");
    const rest = answer.text.slice(heard.length);
    const isAll = !isInterrupted || !/[\p{L}\p{N}]/u.test(rest);
    if (heard.trim() === "" && !isAll) this.#unheard.push(answer);
    answer.words.replaceChildren(...(isAll ? [answer.text] : cut(heard, rest)));
    return (characters ?? 0) > letters.length;
  }

  /**
   * Something else happened.
   * @param {"event" | "failure"} kind
   * @param {...(Node | string)} words
   */
  note(kind, ...words) {
    this.#list.append(create("li", { className: `turn turn-${kind}` }, ...words));
    this.follow();
  }

  /** What was said so far belongs to a conversation that is over. */
  close() {
    for (const utterance of [...this.#open.keys()]) this.end(utterance, { characters: null, isInterrupted: true });
    this.#latest = null;
    this.#unheard = [];
    for (const item of this.#list.children) item.classList.add("is-former");
  }

  /**
   * Shows what the server has of this conversation in place of what is here.
   * @param {HistoryEntry[]} entries
   */
  load(entries) {
    const known = this.#open;
    this.#open = new Map();
    this.#latest = null;
    for (const item of this.#list.querySelectorAll("li:not(.is-former)")) item.remove();
    for (const entry of entries) {
      if (entry.role === "user") this.addUser(entry.turn, entry.text, entry.source);
      else this.#restore(entry, known.get(entry.utterance ?? -1));
    }
    this.follow(true);
  }

  /**
   * @param {Extract<HistoryEntry, {role: "assistant"}>} entry
   * @param {Answer | undefined} known
   */
  #restore(entry, known) {
    if (entry.pending && entry.utterance !== null) {
      const answer = this.#begin(entry.utterance, entry.turn);
      answer.text = known?.text ?? "";
      answer.reached = known?.reached ?? 0;
      this.#show(answer);
      return;
    }
    for (const call of entry.tool_calls) this.noteCall(call.name, call.arguments);
    if (entry.text === "") return;
    const words = create("p", { className: "words" }, ...(entry.interrupted ? cut(entry.text, "…") : [entry.text]));
    this.#add("turn turn-portrait", this.#name(), words);
  }

  /**
   * The brain wants something done.
   * @param {string} name
   * @param {string} given
   */
  noteCall(name, given) {
    const words = given === "{}" || given === "" ? name : `${name} ${given}`;
    this.note("event", "Asks for ", create("code", {}, words.length > 160 ? `${words.slice(0, 160)}…` : words));
  }

  /**
   * @param {number} utterance
   * @param {number} turn
   * @returns {Answer}
   */
  #begin(utterance, turn) {
    const words = create("p", { className: "words" });
    const item = this.#add("turn turn-portrait", this.#name(), words);
    item.setAttribute("aria-busy", "true"); // it is being written, and heard
    const answer = { item, words, text: "", reached: 0, turn };
    this.#open.set(utterance, answer);
    return answer;
  }

  /** @param {Answer} answer */
  #show({ words, text, reached }) {
    const ahead = text.slice(reached);
    words.replaceChildren(text.slice(0, reached), ...(ahead ? [create("span", { className: "ahead" }, ahead)] : []));
    this.follow();
  }

  #name() {
    return byId("portrait-name", HTMLElement).textContent?.trim() || "The portrait";
  }

  /**
   * @param {string} className
   * @param {string} who
   * @param {HTMLElement} words
   * @returns {HTMLLIElement}
   */
  #add(className, who, words) {
    const item = create("li", { className }, create("p", { className: "who" }, who), words);
    this.#list.append(item);
    this.follow();
    return item;
  }

  /** Keeps the end in sight for whoever was there. */
  follow(isCertain = false) {
    if (isCertain || this.#isAtEnd) this.#log.scrollTop = this.#log.scrollHeight;
  }
}

/**
 * Shows where an answer was cut off.
 * @param {string} heard
 * @param {string} rest
 * @returns {(Node | string)[]}
 */
function cut(heard, rest) {
  const gap = /^\s*/.exec(rest)?.[0] ?? "";
  const note = create("span", { className: "unseen" }, " (cut off here)");
  const unheard = create("s", { className: "unheard", title: "You did not hear this." }, rest.slice(gap.length));
  return [heard, note, gap, unheard];
}
