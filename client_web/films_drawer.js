/**
 * The tool under the picture that records and streams. What it opens (films.js, streams.js) is
 * fetched when it is first opened, or when something of the session is recorded or streamed already.
 */

import { byId } from "./dom.js";
import { notify } from "./notices.js";

/** @import { Connection } from "./connection.js" */
/** @import { Films } from "./films.js" */
/** @import { ServerMessage } from "./protocol.js" */

export class FilmsDrawer {
  #drawer = byId("films", HTMLDetailsElement);
  #connection;
  /** @type {Promise<Films | null> | null} */
  #films = null;

  /** @param {Connection} connection */
  constructor(connection) {
    this.#connection = connection;
    this.#drawer.addEventListener("toggle", () => void this.#onToggle());
    void this.#onToggle(); // somebody may have been quicker than this module
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.#drawer.open || event.defaultPrevented) return;
      event.preventDefault();
      this.#close();
      byId("films-summary", HTMLElement).focus();
    });
    document.addEventListener("pointerdown", (event) => {
      if (event.target instanceof Node && !this.#drawer.contains(event.target)) this.#close();
    });
  }

  /** @param {ServerMessage} message */
  onMessage(message) {
    const isOurs = message.type === "recording.updated" || message.type === "output.updated";
    if (this.#films === null && !isOurs) return;
    void this.#load().then((films) => films?.onMessage(message));
  }

  async #onToggle() {
    if (this.#drawer.open) await (await this.#load())?.refresh();
  }

  #close() {
    this.#drawer.open = false;
  }

  /** @returns {Promise<Films | null>} null where the files do not come */
  #load() {
    this.#films ??= this.#fetch().catch(() => {
      this.#films = null;
      this.#close();
      notify("The recorder did not arrive. Open it again to try again.", { isFault: true });
      return null;
    });
    return this.#films;
  }

  /** @returns {Promise<Films>} */
  async #fetch() {
    const { Films } = await import("./films.js");
    return Films.fill(this.#drawer, this.#connection);
  }
}
