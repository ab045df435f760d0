/**
 * Mode Converse: what the visitor says or types is answered by the server's brain.
 */

import { byId, create, setText } from "../dom.js";
import { explain } from "../words.js";

/** @import { Mode, Page } from "./mode.js" */
/** @import { Phase } from "../connection.js" */
/** @import { ServerMessage } from "../protocol.js" */

/** @implements {Mode} */
export class ConverseMode {
  #page;
  #text = byId("converse-text", HTMLTextAreaElement);
  #turns = byId("converse-turns", HTMLElement);
  #isEntered = false;
  /** The answers by their utterances. @type {Map<number, HTMLElement>} */
  #answers = new Map();

  /** @param {Page} page */
  constructor(page) {
    this.#page = page;
    byId("converse-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say();
    });
    this.#text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#say();
    });
    byId("converse-stop", HTMLButtonElement).addEventListener("click", () => page.connection.interrupt());
  }

  enter() {
    this.#isEntered = true;
    this.#page.microphone.setUse("listen");
    void this.#setBrain();
  }

  leave() {
    this.#isEntered = false;
    if (this.#page.connection.session !== null) void this.#setBrain();
  }

  /** @param {Phase} phase */
  onPhase(phase) {
    if (phase.name === "live" && this.#isEntered) void this.#setBrain();
  }

  /** @param {ServerMessage} message */
  onMessage(message) {
    if (message.type === "user.transcript") this.#add("turn turn-user", message.text);
    if (message.type === "brain.failed") setText(byId("converse-fault", HTMLElement), message.message);
    if (message.type === "agent.reply.delta") {
      const answer = this.#answers.get(message.utterance) ?? this.#add("turn", "");
      this.#answers.set(message.utterance, answer);
      answer.append(message.text);
    }
  }

  #say() {
    const text = this.#text.value.trim();
    if (text === "") return;
    setText(byId("converse-fault", HTMLElement), "");
    if (this.#page.connection.send({ type: "user.text", text, source: "text" })) this.#text.value = "";
    else this.#page.notify("Not connected yet: the text is kept.", { isFault: true });
  }

  async #setBrain() {
    const brain = this.#isEntered ? (this.#page.info()?.brain ?? "demo") : "off";
    const usual = brain === "off" && this.#isEntered ? "demo" : brain;
    try {
      if (this.#page.connection.session !== null) await this.#page.connection.request("PUT", "brain", { brain: usual });
    } catch (error) {
      setText(byId("converse-fault", HTMLElement), explain(error));
    }
  }

  /**
   * @param {string} className
   * @param {string} text
   * @returns {HTMLElement}
   */
  #add(className, text) {
    const turn = create("li", { className }, text);
    this.#turns.append(turn);
    turn.scrollIntoView({ block: "nearest" });
    return turn;
  }
}
