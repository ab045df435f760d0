/**
 * Where the session is pushed: a streaming site or another server. Addresses hold keys and are not
 * remembered.
 */

import { byId, create, setText } from "./dom.js";
import { notify } from "./notices.js";
import { replaceRows } from "./rows.js";
import { explain } from "./words.js";

/** @import { Connection } from "./connection.js" */
/** @import { ServerMessage } from "./protocol.js" */

/** @typedef {"connecting" | "live" | "retrying" | "failed" | "closed"} OutputState */

/**
 * @typedef {{id: string, url: string, state: OutputState, message: string | null, retry_s: number | null}} Stream
 */

export class Streams {
  #connection;
  #url = byId("stream-url", HTMLInputElement);
  #bearer = byId("stream-bearer", HTMLInputElement);
  #fault = byId("stream-fault", HTMLElement);
  #list = byId("streams-list", HTMLElement);
  /** @type {Map<string, Stream>} */
  #streams = new Map();
  /** When the next attempt is made, on this page's clock. @type {Map<string, number>} */
  #retries = new Map();
  #clock = 0;

  /** @param {Connection} connection */
  constructor(connection) {
    this.#connection = connection;
    this.#url.addEventListener("input", () => {
      byId("stream-bearer-row", HTMLElement).hidden = !this.#url.value.trim().startsWith("whip");
      this.#complain("");
    });
    byId("stream-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#start();
    });
    this.#draw();
  }

  /** Asks the server for what there is. */
  async refresh() {
    /** @type {Stream[]} */
    const streams = this.#connection.session === null ? [] : await this.#connection.request("GET", "outputs").catch(() => []);
    this.#streams.clear();
    for (const stream of streams) this.#take(stream);
    this.#draw();
  }

  /** @param {ServerMessage} message */
  onMessage(message) {
    if (message.type !== "output.updated") return;
    const { output: id, url, state, message: words, retry_s } = message;
    const before = this.#streams.get(id)?.state;
    this.#take({ id, url, state, message: words, retry_s });
    if (state === "failed" && before !== "failed") notify(`The stream to ${url} failed: ${words}`, { isFault: true });
    this.#draw();
  }

  async #start() {
    const url = this.#url.value.trim();
    const bearer = this.#bearer.value.trim();
    const start = byId("stream-start", HTMLButtonElement);
    if (url === "") {
      this.#complain("Type the address to stream to.");
      this.#url.focus();
      return;
    }
    start.disabled = true;
    this.#complain("");
    try {
      const isTokened = url.startsWith("whip") && bearer !== "";
      this.#take(await this.#connection.request("POST", "outputs", { url, ...(isTokened && { bearer }) }));
      this.#url.value = this.#bearer.value = "";
    } catch (error) {
      this.#complain(explain(error));
    } finally {
      start.disabled = false;
      this.#draw();
    }
  }

  /** @param {string} words */
  #complain(words) {
    setText(this.#fault, words);
    this.#url.setAttribute("aria-invalid", String(words !== ""));
  }

  /** @param {Stream} stream */
  #take(stream) {
    const { id, state, retry_s } = stream;
    this.#retries.delete(id);
    if (state === "closed") this.#streams.delete(id);
    else this.#streams.set(id, stream);
    if (state === "retrying" && retry_s !== null) this.#retries.set(id, performance.now() + 1000 * retry_s);
  }

  /** @param {Stream} stream */
  async #stop(stream) {
    try {
      await this.#connection.request("DELETE", `outputs/${stream.id}`);
      this.#streams.delete(stream.id);
      byId("streams-summary", HTMLElement).focus();
    } catch (error) {
      this.#complain(explain(error));
    }
    this.#draw();
  }

  #draw() {
    const states = [...this.#streams.values()].map(({ state }) => state);
    const isTrying = states.some((state) => state === "connecting" || state === "retrying");
    document.body.dataset["streaming"] = states.includes("live") ? "live" : isTrying ? "trying" : "off";
    replaceRows(this.#list, [...this.#streams.values()].map((stream) => this.#row(stream)));
    clearInterval(this.#clock);
    if (this.#retries.size > 0) this.#clock = setInterval(() => this.#count(), 500);
  }

  #count() {
    for (const stream of this.#streams.values()) {
      const words = this.#list.querySelector(`[data-id="${CSS.escape(stream.id)}"] .fine`);
      if (words !== null) setText(words, this.#say(stream));
    }
  }

  /**
   * @param {Stream} stream
   * @returns {HTMLLIElement}
   */
  #row(stream) {
    const words = create("p", {}, stream.url, create("span", { className: "fine" }, this.#say(stream)));
    const isOver = stream.state === "failed";
    const label = `${isOver ? "Remove" : "Stop"} the stream to ${stream.url}`;
    const stop = create("button", { type: "button", className: "button", ariaLabel: label }, isOver ? "Remove" : "Stop");
    stop.addEventListener("click", () => void this.#stop(stream));
    const row = create("li", { className: "film" }, words, stop);
    Object.assign(row.dataset, { id: stream.id, state: stream.state });
    return row;
  }

  /**
   * @param {Stream} stream
   * @returns {string}
   */
  #say({ id, state, message }) {
    const left = Math.max(0, Math.ceil(((this.#retries.get(id) ?? 0) - performance.now()) / 1000));
    const words = { connecting: "Connecting…", live: "Live", closed: "Ended", failed: "Failed", retrying: `Trying again in ${left} s` };
    return message === null ? words[state] : `${words[state]}: ${message}`;
  }
}
