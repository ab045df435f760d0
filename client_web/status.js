/**
 * The state of the connection, discreet in the corner and in full on demand.
 */

import { byId, create, setText } from "./dom.js";
import { figures } from "./stats.js";

/** @import { Figures } from "./stats.js" */
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
    const seen = figures(report, this.#before);
    this.#before = report;
    const delay = this.#delay(seen, source.roundTrip);
    const brief = [unit(seen.fps, "fps"), unit(delay, "ms")].filter((part) => part !== "–");
    setText(byId("brief", HTMLElement), brief.join(" · "));
    this.#label();
    if (this.#panel.open) this.#list.replaceChildren(...rows(this.#table(seen, delay, source.roundTrip)));
  }

  /**
   * Sound made to picture seen, estimated: the server's part, the way, and the browser's buffer.
   * @param {Figures} seen
   * @param {number | null} roundTrip
   * @returns {number | null}
   */
  #delay(seen, roundTrip) {
    const server = this.#metrics?.latency_ms ?? null;
    if (server === null || seen.buffered === null) return null;
    return server + (roundTrip ?? 0) / 2 + seen.buffered;
  }

  /**
   * @param {Figures} seen
   * @param {number | null} delay
   * @param {number | null} roundTrip
   * @returns {[string, string][]}
   */
  #table(seen, delay, roundTrip) {
    const server = this.#metrics;
    return [
      ["Pictures shown", unit(seen.fps, "per second")],
      ["Delay, speech to picture", unit(delay, "ms")],
      ["Sound against picture", against(seen.offset)],
      ["Round trip", unit(roundTrip, "ms")],
      ["Jitter", unit(seen.jitter, "ms", 1)],
      ["Buffer", unit(seen.buffered, "ms")],
      ["Bit rate", unit(seen.kilobits, "kbit/s")],
      ["Packets lost", unit(seen.lost, "")],
      ["Frames dropped here", unit(seen.dropped, "")],
      ["Frames late at the server", unit(server?.late_frames ?? null, "")],
      ["Drawing one frame", unit(server?.render_ms ?? null, "ms", 1)],
      ["Picture", [seen.size, seen.codec].filter(Boolean).join(", ") || "–"],
    ];
  }

  #label() {
    const brief = byId("brief", HTMLElement).textContent;
    const state = byId("state", HTMLElement).textContent;
    const words = [state, brief].filter(Boolean).join(", ");
    byId("figures-summary", HTMLElement).setAttribute("aria-label", `Connection: ${words}`);
  }
}

/**
 * @param {number | null} value
 * @param {string} name
 * @param {number} [digits]
 * @returns {string}
 */
function unit(value, name, digits = 0) {
  if (value === null) return "–";
  const text = value.toFixed(digits);
  return name === "" ? text : `${text} ${name}`;
}

/**
 * @param {number | null} offset milliseconds by which the sound is ahead
 * @returns {string}
 */
function against(offset) {
  if (offset === null) return "–";
  const milliseconds = Math.round(offset);
  if (milliseconds === 0) return "together";
  return milliseconds > 0 ? `${milliseconds} ms ahead` : `${-milliseconds} ms behind`;
}

/**
 * @param {[string, string][]} table
 * @returns {HTMLElement[]}
 */
function rows(table) {
  return table.map(([name, value]) => create("div", {}, create("dt", {}, name), create("dd", {}, value)));
}
