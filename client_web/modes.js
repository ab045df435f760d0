/**
 * The three modes and their tabs: shows one, fetches its files when it is first shown, keeps the
 * choice in the address and for the next visit. modes/mode.js says what a mode is.
 */

import { byId, create } from "./dom.js";
import { fetchPart, LoadError } from "./lazy.js";
import { announce } from "./notices.js";
import { recall, remember } from "./preferences.js";

/** @import { Phase } from "./connection.js" */
/** @import { Mode, ModeName, Page } from "./modes/mode.js" */
/** @import { ServerMessage, SessionReady } from "./protocol.js" */

/** @type {Record<ModeName, () => Promise<new (page: Page) => Mode>>} */
const CLASSES = {
  present: async () => (await import("./modes/present.js")).PresentMode,
  converse: async () => (await import("./modes/converse.js")).ConverseMode,
  puppet: async () => (await import("./modes/puppet.js")).PuppetMode,
};

const NAMES = /** @type {ModeName[]} */ (Object.keys(CLASSES));

/** @typedef {Omit<Page, "panel">} SharedPage */

export class Modes {
  #page;
  /** @type {Map<ModeName, Mode>} */
  #loaded = new Map();
  /** @type {Set<ModeName>} */
  #loading = new Set();
  /** @type {ModeName | null} */
  #chosen = null;
  /** @type {Mode | null} */
  #entered = null;
  /** @type {Phase} */
  #phase = { name: "connecting" };
  /** @type {SessionReady | null} */
  #ready = null;

  /** @param {() => Promise<SharedPage>} page fetches what all modes are given; may throw a LoadError */
  constructor(page) {
    this.#page = page;
    for (const name of NAMES) tab(name).addEventListener("click", () => void this.choose(name));
    byId("modes", HTMLElement).addEventListener("keydown", (event) => this.#onKey(event));
    addEventListener("hashchange", () => {
      const name = fromAddress();
      if (name !== null) void this.choose(name);
    });
  }

  /** Shows the mode that the address asks for, else that of the last visit, else the first. */
  start() {
    const former = NAMES.find((name) => name === recall("mode"));
    void this.choose(fromAddress() ?? former ?? "present");
  }

  /** @param {ModeName} name */
  async choose(name) {
    if (name === this.#chosen) return;
    this.#entered?.leave();
    this.#entered = null;
    this.#chosen = name;
    remember("mode", name);
    if (fromAddress() !== name) history.replaceState(history.state, "", `#${name}`);
    document.body.dataset["mode"] = name;
    for (const each of NAMES) {
      tab(each).setAttribute("aria-selected", String(each === name));
      tab(each).tabIndex = each === name ? 0 : -1;
      panel(each).hidden = each !== name;
    }
    const mode = this.#loaded.get(name) ?? (await this.#load(name));
    // meanwhile another may have been chosen, or this one again and entered
    if (mode === null || this.#chosen !== name || this.#entered !== null) return;
    this.#entered = mode;
    mode.enter();
  }

  /** @param {Phase} phase */
  onPhase(phase) {
    this.#phase = phase;
    for (const mode of this.#loaded.values()) mode.onPhase(phase);
  }

  /** @param {ServerMessage} message */
  onMessage(message) {
    if (message.type === "session.ready") this.#ready = message;
    for (const mode of this.#loaded.values()) mode.onMessage(message);
  }

  /**
   * Fetches a mode's files; null while that is under way already, or when it fails.
   * @param {ModeName} name
   * @returns {Promise<Mode | null>}
   */
  async #load(name) {
    if (this.#loading.has(name)) return null;
    this.#loading.add(name);
    const place = panel(name);
    place.querySelector(".mode-fault")?.remove();
    place.setAttribute("aria-busy", "true");
    try {
      const [page, Class, markup] = await Promise.all([this.#page(), CLASSES[name](), fetchPart(`modes/${name}`)]);
      place.append(...markup);
      const mode = new Class({ ...page, panel: place });
      this.#loaded.set(name, mode);
      mode.onPhase(this.#phase);
      if (this.#ready !== null) mode.onMessage(this.#ready);
      if (this.#chosen !== name) return null;
      return mode;
    } catch (error) {
      if (!(error instanceof LoadError || error instanceof TypeError)) throw error;
      // a module that does not come is a TypeError
      this.#showFault(name);
      return null;
    } finally {
      this.#loading.delete(name);
      place.removeAttribute("aria-busy");
    }
  }

  /** @param {ModeName} name */
  #showFault(name) {
    const words = "This part of the page did not arrive.";
    const again = create("button", { type: "button", className: "button" }, "Try again");
    again.addEventListener("click", () => {
      this.#chosen = null;
      void this.choose(name);
    });
    const fault = create("div", { className: "group mode-fault" }, create("p", { className: "fault" }, words), again);
    panel(name).append(fault);
    announce(words);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const steps = { ArrowRight: 1, ArrowLeft: -1 };
    const here = NAMES.findIndex((name) => name === this.#chosen);
    const step = event.key in steps ? steps[/** @type {keyof typeof steps} */ (event.key)] : 0;
    const ends = { Home: 0, End: NAMES.length - 1 };
    const place = event.key in ends ? ends[/** @type {keyof typeof ends} */ (event.key)] : here + step;
    const next = NAMES[(place + NAMES.length) % NAMES.length];
    if (next === undefined || next === this.#chosen) return;
    event.preventDefault();
    void this.choose(next);
    tab(next).focus();
  }
}

/** @param {ModeName} name */
const tab = (name) => byId(`mode-${name}`, HTMLButtonElement);

/** @param {ModeName} name */
const panel = (name) => byId(`panel-${name}`, HTMLElement);

/** @returns {ModeName | null} */
const fromAddress = () => NAMES.find((name) => `#${name}` === location.hash) ?? null;
