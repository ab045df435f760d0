/**
 * The visitor's own voice: asks for the microphone, shows its level, hands the track over.
 * Knows no connection.
 */

import { byId, setText } from "./dom.js";
import { explainDevice } from "./words.js";

/** @import { MicrophoneUse } from "./protocol.js" */

/** @type {Record<MicrophoneUse, string>} */
const HINTS = {
  puppet: "What you say, the portrait says. Headphones avoid an echo.",
  listen: "The portrait listens to what you say. Headphones avoid an echo.",
};

/** Decibels relative to full scale at the empty and the full end of the meter. */
const QUIET = -60;
const LOUD = -12;

export class Microphone {
  /** @type {(track: MediaStreamTrack | null) => Promise<void>} */
  onTrack = async () => {};

  /** @type {(use: MicrophoneUse) => void} what the voice is for from now on */
  onUse = () => {};

  #button = byId("microphone", HTMLButtonElement);
  #fault = byId("microphone-fault", HTMLElement);
  #level = byId("meter-level", HTMLElement);
  /** @type {{stream: MediaStream, context: AudioContext} | null} */
  #open = null;
  #isOpening = false;

  constructor() {
    this.#button.addEventListener("click", () => void this.#toggle());
  }

  /**
   * Says what the voice is for, in words and to whoever set `onUse`.
   * @param {MicrophoneUse} use
   */
  setUse(use) {
    setText(byId("microphone-hint", HTMLElement), HINTS[use]);
    this.onUse(use);
  }

  async #toggle() {
    if (this.#isOpening) return;
    this.#isOpening = true;
    setText(this.#fault, "");
    try {
      if (this.#open === null) await this.#start();
      else await this.#stop();
    } finally {
      this.#isOpening = false;
      this.#show();
    }
  }

  async #start() {
    setText(byId("microphone-text", HTMLElement), "Waiting for permission…");
    /** @type {MediaStream} */
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        // the browser's canceller keeps the portrait from hearing itself
        audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
      });
    } catch (error) {
      setText(this.#fault, explainDevice(error, "microphone"));
      return;
    }
    const track = stream.getAudioTracks()[0];
    if (track === undefined) return;
    track.addEventListener("ended", () => void this.#onUnplugged());
    this.#open = { stream, context: this.#measure(stream) };
    await this.onTrack(track);
  }

  async #stop() {
    const open = this.#open;
    this.#open = null;
    for (const track of open?.stream.getTracks() ?? []) track.stop();
    await open?.context.close();
    await this.onTrack(null);
  }

  async #onUnplugged() {
    if (this.#open === null) return;
    await this.#stop();
    this.#show();
    setText(this.#fault, "The microphone went away.");
  }

  /**
   * @param {MediaStream} stream
   * @returns {AudioContext}
   */
  #measure(stream) {
    const context = new AudioContext();
    // the click on the button allows it, but permission may have taken longer than that counts
    void context.resume();
    const analyser = new AnalyserNode(context, { fftSize: 1024 });
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const draw = () => {
      if (this.#open?.context !== context) return this.#level.style.setProperty("--level", "0");
      analyser.getFloatTimeDomainData(samples);
      this.#level.style.setProperty("--level", loudness(samples).toFixed(3));
      return requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
    return context;
  }

  #show() {
    const isOpen = this.#open !== null;
    this.#button.setAttribute("aria-pressed", String(isOpen));
    document.body.dataset["microphone"] = isOpen ? "on" : "off";
    setText(byId("microphone-text", HTMLElement), isOpen ? "Stop the microphone" : "Use the microphone");
  }
}

/**
 * Where a sound lies between quiet and loud, 0 to 1, on a decibel scale.
 * @param {Float32Array} samples
 * @returns {number}
 */
export function loudness(samples) {
  let energy = 0;
  for (const sample of samples) energy += sample * sample;
  const decibels = 10 * Math.log10(energy / samples.length + 1e-12);
  return Math.min(1, Math.max(0, (decibels - QUIET) / (LOUD - QUIET)));
}
