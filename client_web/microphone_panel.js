/**
 * What belongs to the microphone and is asked for rarely: which one it is, whether it works, which
 * loudspeaker answers. Opens nothing by itself.
 */

import { DeviceSelect } from "./device_select.js";
import { explainDevice } from "./device_words.js";
import { byId, setText } from "./dom.js";
import { fetchPart } from "./lazy.js";
import { forget, recall, remember } from "./preferences.js";
import { CAN_CHOOSE, useSpeaker } from "./speaker.js";
import { Verdict, WORDS } from "./verdict.js";

/** @import { Microphone } from "./microphone.js" */

/** Between two words about the level, in milliseconds: people read them. */
const PERIOD = 700;

/** A test ends by itself after so long, in milliseconds. */
const LONGEST_TEST = 30_000;

export class MicrophonePanel {
  #microphone;
  #microphones = new DeviceSelect(byId("microphone-device", HTMLSelectElement), "audioinput");
  #speakers = new DeviceSelect(byId("speaker-device", HTMLSelectElement), "audiooutput");
  #test = byId("microphone-test", HTMLButtonElement);
  #words = byId("microphone-verdict", HTMLElement);
  #verdict = new Verdict();
  #latest = 0;
  #end = 0;

  /**
   * Fetches the panel's files and puts it into its place.
   * @param {HTMLDetailsElement} place
   * @param {Microphone} microphone
   */
  static async fill(place, microphone) {
    place.append(...(await fetchPart("microphone_panel")));
    await new MicrophonePanel(microphone).#refresh();
  }

  /** @param {Microphone} microphone */
  constructor(microphone) {
    this.#microphone = microphone;
    microphone.watch(() => this.#onChange());
    microphone.onSamples = (samples) => this.#hear(samples);
    this.#microphones.onChoose = () => void microphone.reopen();
    this.#test.addEventListener("click", () => void microphone.test());
    this.#listenForCleaning();
    this.#listenForSpeaker();
    this.#onChange();
  }

  #listenForCleaning() {
    const clean = byId("microphone-clean", HTMLInputElement);
    clean.checked = recall("processing") !== "off";
    clean.addEventListener("change", () => {
      if (clean.checked) forget("processing");
      else remember("processing", "off");
      void this.#microphone.reopen();
    });
  }

  #listenForSpeaker() {
    const video = byId("video", HTMLVideoElement);
    byId("speaker", HTMLElement).hidden = !CAN_CHOOSE;
    if (!CAN_CHOOSE) return;
    this.#speakers.onChoose = this.#speakers.onGone = () => void useSpeaker(video);
  }

  #onChange() {
    const { state } = this.#microphone;
    this.#verdict = new Verdict();
    this.#latest = 0;
    clearTimeout(this.#end);
    this.#test.hidden = state === "on"; // it is judged as it is
    this.#test.setAttribute("aria-pressed", String(state === "test"));
    setText(this.#test, state === "test" ? "End the test" : "Test the microphone");
    if (state === "off") this.#say("Nobody hears a test, and nothing is played back.", "none");
    if (state === "test") this.#end = setTimeout(() => void this.#microphone.test(), LONGEST_TEST);
    void this.#refresh();
  }

  async #refresh() {
    try {
      await Promise.all([this.#microphones.refresh(), this.#speakers.refresh()]);
    } catch (error) {
      setText(byId("devices-fault", HTMLElement), explainDevice(error, "microphone"));
    }
    byId("devices-hint", HTMLElement).hidden = this.#microphones.isTold;
  }

  /** @param {Float32Array} samples */
  #hear(samples) {
    const now = performance.now();
    const judgement = this.#verdict.hear(samples, now);
    if (now - this.#latest < PERIOD) return;
    this.#latest = now;
    this.#say(WORDS[judgement], judgement);
  }

  /**
   * @param {string} words
   * @param {string} judgement
   */
  #say(words, judgement) {
    setText(this.#words, words);
    this.#words.dataset["judgement"] = judgement;
  }
}
