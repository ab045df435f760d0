/**
 * The state of the connection, discreet in the corner and in full on demand.
 */

import { byId, create, setText } from "./dom.js";

/** @import { Metrics } from "./protocol.js" */

/** @typedef {"connecting" | "queued" | "live" | "waiting" | "closed"} PhaseName */

/** @type {Record<PhaseName, string>} */
const WORDS = { connecting: "Connecting", queued: "Waiting for a place", live: "Live", waiting: "Reconnecting", closed: "At rest" };

const PERIOD = 1_000;

/**
 * @typedef {object} Source
 * @property {() => Promise<RTCStatsReport | null>} stats
 * @property {number | null} roundTrip milliseconds
 */

export class Status {
  #panel = byId("figures", HTMLDetailsElement);
  #list = byId("figures-list", HTMLDListElement);
  /** @type {RTCStatsReport | null} */
  #before = null;
  /** @type {Metrics | null} */
  #metrics = null;
  /** @type {PhaseName} */
  #phase = "connecting";

  /** @param {Source} source */
  constructor(source) {
    setInterval(() => void this.#update(source), PERIOD);
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.#panel.open) return;
      event.preventDefault();
      this.#panel.open = false;
      this.#panel.querySelector("summary")?.focus();
    });
    document.addEventListener("pointerdown", (event) => {
      if (event.target instanceof Node && !this.#panel.contains(event.target)) this.#panel.open = false;
    });
  }

  /**
   * @param {PhaseName} phase
   * @param {string} [words] in place of the usual ones
   */
  setPhase(phase, words = WORDS[phase]) {
    this.#phase = phase;
    document.body.dataset["phase"] = phase;
    setText(byId("state", HTMLElement), words);
    this.#label();
    if (phase !== "live") this.#forget();
  }

  /** @param {Metrics} metrics what the server says of itself, once a second */
  setMetrics(metrics) {
    this.#metrics = metrics;
  }

  /** @param {string} text */
  setVersion(text) {
    setText(byId("version", HTMLElement), text);
  }

  #forget() {
    this.#before = this.#metrics = null;
    setText(byId("brief", HTMLElement), "");
    this.#list.replaceChildren(...rows([["Figures", "when connected"]]));
  }

  /** @param {Source} source */
  async #update(source) {
    if (this.#phase !== "live") return;
    const report = await source.stats();
    if (report === null) return;
    // the figures are looked at long after the first picture
    const { tell } = await import("./figures.js");
    const { roundTrip } = source;
    const { brief, table } = tell({ report, before: this.#before, metrics: this.#metrics, roundTrip });
    if (this.#phase !== "live") return;
    this.#before = report;
    setText(byId("brief", HTMLElement), brief);
    this.#label();
    if (this.#panel.open) this.#list.replaceChildren(...rows(table));
  }

  #label() {
    const brief = byId("brief", HTMLElement).textContent;
    const state = byId("state", HTMLElement).textContent;
    const words = [state, brief].filter(Boolean).join(", ");
    byId("figures-summary", HTMLElement).setAttribute("aria-label", `Connection: ${words}`);
  }
}

/**
 * @param {[string, string][]} table
 * @returns {HTMLElement[]}
 */
function rows(table) {
  return table.map(([name, value]) => create("div", {}, create("dt", {}, name), create("dd", {}, value)));
}
