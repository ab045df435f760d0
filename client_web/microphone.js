/**
 * The visitor's own voice: opens the microphone that was chosen, shows its level, hands the track
 * over, and goes on with another when it is unplugged. What is chosen and tried out is in
 * microphone_panel.js, which comes when it is asked for. Knows no connection.
 */

import { explainDevice } from "./device_words.js";
import { byId, setText } from "./dom.js";
import { notify } from "./notices.js";
import { recall } from "./preferences.js";

/** @import { Meter } from "./level.js" */
/** @import { MicrophoneUse } from "./protocol.js" */

/** @type {Record<MicrophoneUse, string>} */
const HINTS = {
  puppet: "What you say, the portrait says. Headphones avoid an echo.",
  listen: "The portrait listens to what you say. Headphones avoid an echo.",
};

/** Closed; open to be tried out, heard by nobody; or heard. @typedef {"off" | "test" | "on"} MicrophoneState */

/** @typedef {{track: MediaStreamTrack, meter: Meter}} Source */

export class Microphone {
  /** @type {(track: MediaStreamTrack | null) => Promise<void>} */
  onTrack = async () => {};

  /** @type {(use: MicrophoneUse) => void} what the voice is for from now on */
  onUse = () => {};

  /** Called with the latest samples while it is open. @type {(samples: Float32Array) => void} */
  onSamples = () => {};

  /** Who is told when it was opened, closed, or changed. @type {Set<() => void>} */
  #watchers = new Set();

  #button = byId("microphone", HTMLButtonElement);
  #fault = byId("microphone-fault", HTMLElement);
  #level = byId("meter-level", HTMLElement);
  /** @type {MicrophoneState} */
  #state = "off";
  /** @type {Source | null} */
  #source = null;
  #isBusy = false;
  /** @type {Promise<void> | null} */
  #panel = null;

  constructor() {
    this.#button.addEventListener("click", () => void this.become(this.#state === "on" ? "off" : "on"));
    const panel = byId("microphone-panel", HTMLDetailsElement);
    panel.addEventListener("toggle", () => this.#fill(panel));
    this.#fill(panel); // somebody may have been quicker than this module
  }

  get state() {
    return this.#state;
  }

  /** Why it did not open, in a sentence; empty when nothing is wrong. */
  get fault() {
    return this.#fault.textContent ?? "";
  }

  /** @param {() => void} watcher told when it was opened, closed, or changed */
  watch(watcher) {
    this.#watchers.add(watcher);
  }

  /**
   * Says what the voice is for, in words and to whoever set `onUse`.
   * @param {MicrophoneUse} use
   */
  setUse(use) {
    setText(byId("microphone-hint", HTMLElement), HINTS[use]);
    this.onUse(use);
  }

  /** Opens it to be looked at, or closes it again; one that is heard stays so. */
  async test() {
    if (this.#state !== "on") await this.become(this.#state === "off" ? "test" : "off");
  }

  /** Opens it again, as what was chosen has changed. */
  async reopen() {
    if (this.#state !== "off") await this.become(this.#state);
  }

  /**
   * Opens or closes it, unless that is under way already; where it is refused, it is closed and
   * `fault` tells why.
   * @param {MicrophoneState} state
   */
  async become(state) {
    if (this.#isBusy) return;
    this.#isBusy = true;
    setText(this.#fault, "");
    const former = this.#state;
    try {
      if (state !== "off" && (state === former || this.#source === null)) await this.#open();
      this.#state = state;
      if (state === "off") await this.#close();
      if (state === "on" || former === "on") await this.onTrack(state === "on" ? this.#source?.track ?? null : null);
    } catch (error) {
      this.#state = "off";
      await this.#close();
      if (former === "on") await this.onTrack(null);
      setText(this.#fault, explainDevice(error, "microphone"));
    } finally {
      this.#isBusy = false;
      this.#show();
    }
    // it may have gone while the next one was asked for
    if (this.#source?.track.readyState === "ended") await this.#onUnplugged(this.#source.track);
  }

  async #open() {
    setText(byId("microphone-text", HTMLElement), "Waiting for permission…");
    const [{ openDevice }, { Meter }] = await Promise.all([import("./devices.js"), import("./level.js")]);
    const former = this.#source;
    // the browser's canceller keeps the portrait from hearing itself
    const isClean = recall("processing") !== "off";
    const cleaning = { echoCancellation: isClean, noiseSuppression: isClean, autoGainControl: isClean };
    const { stream, track, missing } = await openDevice("audioinput", { ...cleaning, channelCount: 1 });
    if (missing !== null) notify(`“${missing}” is not connected: “${track.label}” is used instead.`);
    track.addEventListener("ended", () => void this.#onUnplugged(track));
    const meter = new Meter(stream, (level, samples) => {
      this.#level.style.setProperty("--level", level.toFixed(3));
      this.onSamples(samples);
    });
    this.#source = { track, meter };
    await close(former);
  }

  async #close() {
    const source = this.#source;
    this.#source = null;
    await close(source);
    this.#level.style.setProperty("--level", "0");
  }

  /** @param {MediaStreamTrack} track */
  async #onUnplugged(track) {
    if (this.#source?.track !== track) return;
    await this.become(this.#state);
    if (this.#source === null) return setText(this.#fault, `“${track.label}” went away. ${this.#fault.textContent}`);
    return notify(`“${track.label}” went away: “${this.#source.track.label}” is used instead.`, { isFault: true });
  }

  /** @param {HTMLDetailsElement} panel */
  #fill(panel) {
    if (!panel.open) return;
    this.#panel ??= import("./microphone_panel.js")
      .then(({ MicrophonePanel }) => MicrophonePanel.fill(panel, this))
      .catch(() => {
        this.#panel = null;
        panel.open = false;
        notify("The list of devices did not arrive. Open it again to try again.", { isFault: true });
      });
  }

  #show() {
    const isOn = this.#state === "on";
    this.#button.setAttribute("aria-pressed", String(isOn));
    document.body.dataset["microphone"] = this.#state;
    setText(byId("microphone-text", HTMLElement), isOn ? "Stop the microphone" : "Use the microphone");
    for (const watcher of this.#watchers) watcher();
  }
}

/** @param {Source | null} source */
async function close(source) {
  source?.track.stop();
  await source?.meter.close();
}
