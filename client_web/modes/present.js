/**
 * Mode Present: beside the line to say at once, a script that the portrait reads.
 */

import { byId, setText } from "../dom.js";
import { explain } from "../words.js";

/** @import { Mode, Page } from "./mode.js" */
/** @import { Phase } from "../connection.js" */
/** @import { ScriptState, ServerMessage } from "../protocol.js" */

/** @implements {Mode} */
export class PresentMode {
  #page;
  #text = byId("script", HTMLTextAreaElement);
  #play = byId("script-play", HTMLButtonElement);
  /** @type {ScriptState} */
  #state = "empty";
  /** What the server has of the text. */
  #sent = "";

  /** @param {Page} page */
  constructor(page) {
    this.#page = page;
    this.#play.addEventListener("click", () => void this.#toggle());
  }

  enter() {
    this.#page.microphone.setUse("puppet");
  }

  leave() {}

  /** @param {Phase} phase */
  onPhase(phase) {
    if (phase.name !== "live") this.#show("empty");
  }

  /** @param {ServerMessage} message */
  onMessage(message) {
    if (message.type === "session.ready") this.#sent = "";
    if (message.type === "script.updated") this.#show(message.state);
    if (message.type === "script.position") {
      setText(byId("script-state", HTMLElement), `Reading sentence ${message.sentence + 1}.`);
    }
  }

  async #toggle() {
    const { connection, notify } = this.#page;
    try {
      if (this.#state === "playing") {
        await connection.request("POST", "script/pause");
        return;
      }
      const text = this.#text.value;
      if (text !== this.#sent) await connection.request("PUT", "script", { text, format: "markdown" });
      this.#sent = text;
      await connection.request("POST", "script/play");
    } catch (error) {
      notify(explain(error), { isFault: true });
    }
  }

  /** @param {ScriptState} state */
  #show(state) {
    this.#state = state;
    setText(this.#play, state === "playing" ? "Pause" : "Read it");
  }
}
