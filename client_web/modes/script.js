/**
 * The session's script: what is asked of the server, and what it says. Knows no element.
 */

/** @import { Connection } from "../connection.js" */
/** @import { Script, ScriptFormat, ScriptState, ServerMessage } from "../protocol.js" */

/** How long a recording may take to travel and to be read, in milliseconds. */
const PATIENCE = 300_000;

export class SessionScript {
  /** Called when anything of it is new. */
  onChange = () => {};

  /** @type {ScriptState} */
  state = "empty";

  /** The sentence that is heard, or is heard next. @type {number | null} */
  sentence = null;

  /** What the server has, with its sentences and warnings; null before it was told anything. @type {Script | null} */
  script = null;

  #connection;
  /** The revision that the latest event told of. */
  #revision = 0;
  /** Answers to older questions are not taken. */
  #asked = 0;

  /** @param {Connection} connection */
  constructor(connection) {
    this.#connection = connection;
  }

  get isBusy() {
    return this.state === "playing" || this.state === "pausing";
  }

  /** Forgets everything: another session begins. */
  reset() {
    this.#asked += 1;
    this.#revision = 0;
    this.script = null;
    this.#note("empty", null);
  }

  /**
   * Gives the server a text; what was said of the one before stays said. Throws an ApiError.
   * @param {string} text
   * @param {ScriptFormat} format
   */
  async put(text, format) {
    await this.#take(this.#connection.request("PUT", "script", { text, format }));
  }

  /**
   * Gives the server recorded speech. Throws an ApiError.
   * @param {File} audio
   * @param {File | null} captions
   */
  async putRecording(audio, captions) {
    const body = new FormData();
    body.append("audio", audio, audio.name);
    if (captions !== null) body.append("captions", await captions.text());
    await this.#take(this.#connection.request("PUT", "script/audio", body, PATIENCE));
  }

  /**
   * Reads on, or from a sentence. Throws an ApiError.
   * @param {number} [sentence]
   */
  async play(sentence) {
    await this.#connection.request("POST", "script/play", sentence === undefined ? {} : { sentence });
  }

  /**
   * Stops reading. Throws an ApiError.
   * @param {"now" | "sentence_end"} at
   */
  async pause(at) {
    await this.#connection.request("POST", "script/pause", { at });
  }

  /**
   * Goes to a sentence, and plays on if it plays. Throws an ApiError.
   * @param {number} sentence
   */
  async seek(sentence) {
    await this.#connection.request("POST", "script/seek", { sentence });
  }

  /** @param {ServerMessage} message */
  onMessage(message) {
    if (message.type === "script.updated") {
      this.#note(message.state, message.sentence);
      if (message.revision !== this.#revision) this.#onRevision(message.revision);
    }
    if (message.type === "script.position") this.#note(this.state, message.sentence);
  }

  /** @param {number} revision */
  #onRevision(revision) {
    this.#revision = revision;
    if (revision === this.script?.revision) return;
    // somebody else's change, or ours, whose answer is on its way: a refusal is told to whoever asked
    this.#take(this.#connection.request("GET", "script")).catch(() => undefined);
  }

  /** @param {Promise<Script>} answer */
  async #take(answer) {
    const asked = ++this.#asked;
    const script = await answer;
    if (asked !== this.#asked && script.revision <= (this.script?.revision ?? 0)) return;
    this.script = script;
    this.#note(script.state, script.sentence);
  }

  /**
   * @param {ScriptState} state
   * @param {number | null} sentence
   */
  #note(state, sentence) {
    this.state = state;
    this.sentence = sentence;
    this.onChange();
  }
}
