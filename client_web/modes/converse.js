/**
 * Mode Converse: what the visitor says or types is answered by the server's brain, and what was
 * said, and heard, stands in the log.
 */

import { byId, create, setText } from "../dom.js";
import { LONGEST_TEXT } from "../speech.js";
import { explain } from "../words.js";
import { Transcript } from "./transcript.js";
import { VoiceTalk } from "./voice_talk.js";

/** @import { Mode, Page } from "./mode.js" */
/** @import { Phase } from "../connection.js" */
/** @import { Brain, HistoryEntry, ServerMessage, SpeechState } from "../protocol.js" */

const TO_ASK = ["Who are you?", "Who painted you?", "How old are you?", "Tell me a joke."];

/** @type {Record<SpeechState, string>} */
const STATES = { idle: "", listening: "Listening…", thinking: "Thinking…", speaking: "Speaking…" };

/** @type {Record<Brain["brain"], string>} */
const WHO = {
  demo: "The demo persona answers: a script, not a language model. Whoever runs the server sets --brain-url to ask one.",
  chat: "A language model answers",
  external: "A program that is connected to the server answers.",
  off: "",
};

/** @implements {Mode} */
export class ConverseMode {
  #page;
  #transcript = new Transcript();
  #voice;
  #text = byId("converse-text", HTMLTextAreaElement);
  #fault = byId("converse-fault", HTMLElement);
  #stop = byId("converse-stop", HTMLButtonElement);
  #isEntered = false;
  #isLive = false;
  /** @type {SpeechState} */
  #state = "idle";
  /** The session whose conversation is shown. @type {string | null} */
  #shown = null;
  /** The session that was told to converse. @type {string | null} */
  #conversing = null;
  /** What the server is being asked, one thing after the other. */
  #asking = Promise.resolve();

  /** @param {Page} page */
  constructor(page) {
    this.#page = page;
    this.#voice = new VoiceTalk(page);
    this.#voice.onText = (text) => this.#say(text, "voice");
    byId("converse-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
    this.#stop.addEventListener("click", () => this.#interrupt());
    document.addEventListener("keydown", (event) => {
      // what is spoken, Escape stops in every mode
      const isTaken = event.defaultPrevented || document.querySelector("dialog[open], details.figures[open]");
      if (event.key === "Escape" && !isTaken && this.#isEntered && this.#state === "thinking") this.#interrupt();
    });
    byId("converse-chips", HTMLElement).append(...TO_ASK.map((line) => this.#chip(line)));
  }

  enter() {
    this.#isEntered = true;
    this.#voice.enter();
    this.#begin();
  }

  leave() {
    this.#isEntered = false;
    this.#voice.leave();
    this.#finish();
  }

  /** @param {Phase} phase */
  onPhase(phase) {
    this.#isLive = phase.name === "live";
    this.#voice.learn();
    if (!this.#isLive) this.#setState("idle");
    if (!this.#isLive) return;
    if (this.#isEntered) this.#begin();
    else this.#finish(); // it was left while there was no connection
  }

  /** @param {ServerMessage} message */
  onMessage(message) {
    if (message.type === "session.state_updated") this.#setState(message.state);
    if (!this.#isEntered) return;
    this.#voice.take(message);
    this.#take(message);
  }

  /** @param {ServerMessage} message */
  #take(message) {
    const transcript = this.#transcript;
    switch (message.type) {
      case "user.transcript":
        transcript.addUser(message.turn, message.text, message.source);
        break;
      case "agent.reply.delta":
        transcript.write(message.utterance, message.text);
        break;
      case "subtitle.delta":
        transcript.reach(message.utterance, message.text);
        break;
      case "agent.speak_ended":
        this.#end(message);
        break;
      case "brain.tool_call":
        transcript.noteCall(message.name, message.arguments);
        break;
      case "brain.failed":
        transcript.note("failure", message.message);
        this.#page.announce(message.message);
        break;
    }
    this.#showEmptiness();
  }

  /** @param {Extract<ServerMessage, {type: "agent.speak_ended"}>} message */
  #end({ utterance, spoken_characters: characters, interrupted: isInterrupted }) {
    // what was written while the connection was lost is not here, but in the history
    if (this.#transcript.end(utterance, { characters, isInterrupted })) this.#begin();
  }

  /** Has the session converse, and shows what was said in it. */
  #begin() {
    this.#ask(async (connection) => {
      if (!this.#isEntered) return;
      this.#conversing = connection.session?.session_id ?? null;
      const brain = /** @type {Brain} */ (await connection.request("PUT", "brain", {}));
      this.#showWho(brain);
      const entries = /** @type {HistoryEntry[]} */ (await connection.request("GET", "history"));
      this.#load(connection.session?.session_id ?? null, entries);
    });
  }

  /** Has the session converse no more. */
  #finish() {
    this.#ask(async (connection) => {
      if (this.#isEntered || this.#conversing !== connection.session?.session_id) return;
      await connection.request("PUT", "brain", { brain: "off" });
      this.#conversing = null;
    });
  }

  /**
   * @param {string | null} session
   * @param {HistoryEntry[]} entries
   */
  #load(session, entries) {
    if (this.#shown !== null && this.#shown !== session && !this.#transcript.isEmpty) {
      this.#transcript.close();
      this.#transcript.note("event", "A new visit begins: the portrait remembers nothing of what stands above.");
      this.#transcript.close();
    }
    this.#shown = session;
    this.#transcript.load(entries);
    this.#showEmptiness();
  }

  /**
   * Asks the server for something after what was asked before; without a session there is nothing to ask.
   * @param {(connection: Page["connection"]) => Promise<void>} question
   */
  #ask(question) {
    const { connection } = this.#page;
    const session = connection.session?.session_id;
    if (session === undefined || !this.#isLive) return;
    this.#asking = this.#asking.then(async () => {
      if (connection.session?.session_id !== session) return;
      try {
        await question(connection);
      } catch (error) {
        // a connection that breaks is told by the phase, and all is asked again
        if (connection.session?.session_id === session) setText(this.#fault, explain(error));
      }
    });
  }

  /** @param {Brain} brain */
  #showWho({ brain, model }) {
    const words = brain === "chat" ? `${WHO.chat}${model === null ? "" : ` (${model})`}.` : WHO[brain];
    setText(byId("converse-who", HTMLElement), words);
  }

  #submit() {
    const text = this.#text.value.trim();
    if (text === "") return this.#text.focus();
    if (text.length > LONGEST_TEXT) {
      const most = LONGEST_TEXT.toLocaleString("en");
      return setText(this.#fault, `That is ${text.length.toLocaleString("en")} characters; at most ${most} are taken at once.`);
    }
    if (this.#say(text, "text")) this.#text.value = "";
    return undefined;
  }

  /**
   * @param {string} text
   * @param {"text" | "voice"} source
   * @returns {boolean} whether it went out
   */
  #say(text, source) {
    const isSent = this.#isLive && this.#page.connection.send({ type: "user.text", text, source });
    setText(this.#fault, isSent ? "" : "Not connected just now: your words are kept here.");
    if (!isSent && source === "voice") this.#text.value = `${this.#text.value} ${text}`.trim();
    return isSent;
  }

  #interrupt() {
    const { connection } = this.#page;
    // while it thinks there is nothing to be silent about, and its next words are to be heard
    if (this.#state === "thinking") connection.send({ type: "interrupt" });
    else connection.interrupt();
  }

  /** @param {SpeechState} state */
  #setState(state) {
    this.#state = state;
    this.#voice.setState(state);
    setText(byId("converse-state", HTMLElement), STATES[state]);
    byId("converse-state", HTMLElement).dataset["state"] = state;
    byId("converse-thinking", HTMLElement).hidden = state !== "thinking";
    this.#transcript.follow();
    this.#stop.disabled = state !== "speaking" && state !== "thinking";
  }

  #showEmptiness() {
    byId("converse-chips", HTMLElement).hidden = !this.#transcript.isEmpty;
    byId("converse-log", HTMLElement).hidden = this.#transcript.isEmpty;
  }

  /**
   * @param {string} line
   * @returns {HTMLLIElement}
   */
  #chip(line) {
    const button = create("button", { type: "button", className: "chip" }, line);
    button.addEventListener("click", () => {
      // a touch keyboard would cover the answer
      if (this.#say(line, "text") && matchMedia("(pointer: fine)").matches) this.#text.focus();
    });
    return create("li", {}, button);
  }
}
