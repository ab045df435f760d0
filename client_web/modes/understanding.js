/**
 * Tells who talked by voice how far their words have come: that they are being understood, that they
 * were not, or that no voice was heard at all. Knows no connection.
 */

import { byId, setText } from "../dom.js";

/** @import { ServerMessage } from "../protocol.js" */

/** No transcriber takes longer, in milliseconds. */
const PATIENCE = 8_000;

/** The server's word that it hears a voice comes a little after the voice, in milliseconds. */
const DELAY = 500;

export class Understanding {
  #line = byId("talk-heard", HTMLElement);
  #isVoiced = false;
  #timer = 0;

  /** The microphone is heard from now on. */
  begin() {
    this.#isVoiced = false;
    this.say("");
  }

  /** Nobody hears it any more: if there was no voice in it, that is told. */
  end() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.#isVoiced) this.say("No voice was heard. See under Devices and test whether it is the right microphone.");
    }, DELAY);
  }

  /** @param {ServerMessage} message */
  take(message) {
    if (message.type === "user.speech_started") {
      this.#isVoiced = true;
      this.say("");
    }
    if (message.type === "user.speech_stopped") {
      this.say("Understanding…");
      this.#timer = setTimeout(() => this.say("That was not understood. Say it again, or type it."), PATIENCE);
    }
    const isTold = message.type === "warning" && message.code === "transcription_failed";
    if (message.type === "user.transcript" || isTold) this.say("");
  }

  /** @param {string} words */
  say(words) {
    clearTimeout(this.#timer);
    setText(this.#line, words);
  }
}
