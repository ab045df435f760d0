/**
 * What the page does not need for its first picture: the microphone, expression, background, new
 * portraits, recording. Fetched after that, and wired here.
 */

import { uploadBackground } from "./api.js";
import { Backgrounds } from "./backgrounds.js";
import { byId } from "./dom.js";
import { Expression } from "./expression.js";
import { FilmsDrawer } from "./films_drawer.js";
import { addStyle, fetchPart } from "./lazy.js";
import { Library } from "./library.js";
import { Microphone } from "./microphone.js";
import { notify } from "./notices.js";
import { recall, remember } from "./preferences.js";
import { explain } from "./words.js";

/** @import { Connection } from "./connection.js" */
/** @import { Portraits } from "./portraits.js" */
/** @import { Choice, Info, MicrophoneUse, ServerMessage, Style } from "./protocol.js" */

export class Furnishing {
  microphone = new Microphone();
  #expression = new Expression();
  #backgrounds = new Backgrounds();
  #films;
  #connection;

  /**
   * Fetches what there is no markup for yet, and furnishes the page. Throws a LoadError.
   * @param {Connection} connection
   * @param {Portraits} portraits
   * @returns {Promise<Furnishing>}
   */
  static async load(connection, portraits) {
    const [expression, backgrounds, dialog] = await Promise.all([
      fetchPart("expression"),
      fetchPart("backgrounds"),
      fetchPart("dialog"),
      addStyle("furnishing.css"),
    ]);
    byId("expression", HTMLElement).append(...expression);
    byId("backgrounds", HTMLElement).append(...backgrounds);
    document.body.append(...dialog);
    return new Furnishing(connection, portraits);
  }

  /**
   * @param {Connection} connection
   * @param {Portraits} portraits
   */
  constructor(connection, portraits) {
    this.#connection = connection;
    this.#films = new FilmsDrawer(connection);
    this.microphone.onTrack = (track) => connection.setMicrophone(track);
    this.microphone.onUse = (/** @type {MicrophoneUse} */ use) => connection.useMicrophone(use);
    new Library(portraits, () => connection.session?.session_id ?? null);
    this.#backgrounds.onChoose = (name) => this.#choose({ background: name }, "background", () => name);
    this.#backgrounds.onPicture = async (image) => (await uploadBackground(image)).id;
    this.#backgrounds.mark(recall("background"));
    this.#expression.onStyle = (change) => this.#chooseStyle(change);
    this.#expression.onGesture = (name) => this.#gesture(name);
    this.#expression.restore(recall("style"));
    for (const id of ["microphone", "add"]) byId(id, HTMLButtonElement).disabled = false;
  }

  /**
   * Lists what the server knows.
   * @param {Info} info
   */
  list(info) {
    this.#expression.list(info.gestures);
  }

  /** @param {ServerMessage} message */
  onMessage(message) {
    this.#films.onMessage(message);
    if (message.type !== "session.ready") return;
    this.#backgrounds.mark(message.background);
    this.#expression.mark(message.style);
  }

  /** Forgets a style that the server refuses. */
  forgetStyle() {
    this.#expression.reset();
  }

  /** Forgets a background that the server no longer keeps. */
  forgetBackground() {
    this.#backgrounds.mark(null);
  }

  /** @param {Style} change */
  #chooseStyle(change) {
    // answers may come in another order than they were asked for: what is kept is what is chosen then
    return this.#choose({ style: change }, "style", () => JSON.stringify(this.#expression.chosen));
  }

  /**
   * @param {Choice} choice
   * @param {"background" | "style"} preference
   * @param {() => string} value to remember once the server has agreed
   */
  async #choose(choice, preference, value) {
    try {
      await this.#connection.update(choice);
    } catch (error) {
      notify(explain(error), { isFault: true });
      throw error;
    }
    remember(preference, value());
  }

  /** @param {string} name */
  #gesture(name) {
    if (!this.#connection.send({ type: "gesture", name })) notify("Not connected yet.", { isFault: true });
  }
}
