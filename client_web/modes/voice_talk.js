/**
 * How the visitor is heard in a conversation: while a button or the space bar is held, or all the
 * time. The server turns speech into text, or else the browser. Knows no connection.
 */

import { byId, setText } from "../dom.js";
import { CAN_RECOGNISE, Recogniser } from "./recogniser.js";
import { Understanding } from "./understanding.js";

/** @import { MicrophoneState } from "../microphone.js" */
/** @import { Page } from "./mode.js" */
/** @import { ServerMessage, SpeechState } from "../protocol.js" */

/** @typedef {"hold" | "open"} Way */

/** The last sound of a word comes after the thumb has gone, in milliseconds. */
const TAIL = 200;

/** A microphone that nobody has used for so long is closed again, in milliseconds. */
const REST = 60_000;

/** Who lets go sooner did not know that it is to be held, in milliseconds. */
const TAP = 250;

/** Where the space bar has its own meaning. */
const OWN_SPACE = "input, textarea, select, button, a, summary, video, dialog, [contenteditable]";

/** Whether there is a space bar to hold, as far as one can tell. */
const HAS_KEYS = !matchMedia("(hover: none) and (pointer: coarse)").matches;

const HINTS = {
  hold: HAS_KEYS ? "Hold the button, or the space bar, while you talk." : "Hold the button while you talk.",
  open: "Speak whenever you like; it also interrupts. Headphones avoid an echo.",
  browser: "This server understands no speech, so your browser turns it into text, and may send your voice to its maker for that.",
  none: "This server does not understand speech, and neither does this browser: typing works. Whoever runs the server adds it with “pip install 'vivant[listen]'” or --transcriber-url.",
};

export class VoiceTalk {
  /** Called with what the browser understood. @type {(text: string) => void} */
  onText = () => {};

  #page;
  #group = byId("voice-talk", HTMLElement);
  #ways = byId("ways", HTMLFieldSetElement);
  #button = byId("talk", HTMLButtonElement);
  #fault = byId("talk-fault", HTMLElement);
  /** @type {Way} */
  #way;
  #understanding = new Understanding();
  /** @type {Recogniser | null} */
  #recogniser = null;
  #isEntered = false;
  #isHeld = false;
  #heldSince = 0;
  #tail = 0;
  /** What the microphone is to be. @type {MicrophoneState} */
  #wanted = "off";
  #isFollowing = false;
  #isSpeaking = false;

  /** @param {Page} page */
  constructor(page) {
    this.#page = page;
    this.#way = page.recall("talk") === "open" ? "open" : "hold";
    for (const radio of this.#ways.querySelectorAll("input")) {
      radio.checked = radio.value === this.#way;
      radio.addEventListener("change", () => this.#choose(radio.value === "open" ? "open" : "hold"));
    }
    this.#listenToButton();
    this.#listenToKeys();
    page.microphone.watch(() => this.#onMicrophone());
    for (const event of ["blur", "pagehide"]) addEventListener(event, () => this.#release());
  }

  enter() {
    this.#isEntered = true;
    const { microphone } = this.#page;
    microphone.setUse("listen");
    this.#wanted = microphone.state;
    if (this.#way === "hold" && microphone.state === "on") this.#want("off");
    this.#show();
  }

  leave() {
    this.#isEntered = this.#isHeld = false;
    clearTimeout(this.#tail);
    this.#recogniser?.abort();
    this.#understanding.begin();
    // who talked with the portrait does not expect it to repeat them in another mode
    if (this.#page.microphone.state !== "off") this.#want("off");
    this.#show();
  }

  /** Finds out who understands speech, as soon as the server has told. */
  learn() {
    const info = this.#page.info();
    if (info === null) return;
    const byBrowser = !info.transcribes && CAN_RECOGNISE;
    if (byBrowser && this.#recogniser === null) this.#recogniser = this.#makeRecogniser();
    const isUnderstood = info.transcribes || CAN_RECOGNISE;
    this.#ways.hidden = this.#button.hidden = !isUnderstood;
    this.#group.dataset["by"] = info.transcribes ? "server" : CAN_RECOGNISE ? "browser" : "nobody";
    this.#show();
  }

  /** @param {SpeechState} state */
  setState(state) {
    this.#isSpeaking = state === "speaking";
    if (this.#way === "open") this.#recognise();
  }

  /** @param {ServerMessage} message */
  take(message) {
    if (this.#page.microphone.state !== "off") this.#understanding.take(message);
  }

  /** @returns {Recogniser} */
  #makeRecogniser() {
    const recogniser = new Recogniser();
    recogniser.onText = (text) => this.onText(text);
    recogniser.onGuess = (text) => {
      if (text !== "") this.#understanding.say(text);
    };
    recogniser.onFault = (message) => {
      setText(this.#fault, message);
      this.#isHeld = false;
      this.#want("off");
    };
    return recogniser;
  }

  #listenToButton() {
    const button = this.#button;
    button.addEventListener("pointerdown", (event) => {
      if (this.#way !== "hold" || event.button !== 0) return;
      button.setPointerCapture(event.pointerId);
      this.#hold();
    });
    for (const event of ["pointerup", "pointercancel", "lostpointercapture"]) {
      button.addEventListener(event, () => this.#release());
    }
    button.addEventListener("contextmenu", (event) => event.preventDefault()); // of a long touch
    button.addEventListener("click", (event) => {
      if (this.#way === "open") this.#want(this.#page.microphone.state === "on" ? "off" : "on");
      // whoever cannot hold, a screen reader's click: begin and end
      else if (event.detail === 0) this.#isHeld ? this.#release() : this.#hold();
    });
  }

  #listenToKeys() {
    document.addEventListener("keydown", (event) => {
      if (!this.#takesKey(event)) return;
      event.preventDefault(); // no scrolling, no click
      if (!event.repeat) this.#hold();
    });
    document.addEventListener("keyup", (event) => {
      if (event.key !== " " || !this.#isHeld) return;
      event.preventDefault();
      this.#release();
    });
  }

  /**
   * @param {KeyboardEvent} event
   * @returns {boolean}
   */
  #takesKey(event) {
    const { target, key } = event;
    const isPlain = !event.ctrlKey && !event.altKey && !event.metaKey && !event.isComposing;
    if (!this.#isEntered || this.#way !== "hold" || this.#button.hidden || key !== " " || !isPlain) return false;
    return target === this.#button || !(target instanceof Element && target.closest(OWN_SPACE));
  }

  #hold() {
    if (this.#isHeld || !this.#isEntered) return;
    this.#isHeld = true;
    this.#heldSince = performance.now();
    clearTimeout(this.#tail);
    setText(this.#fault, "");
    this.#understanding.begin();
    this.#want("on");
  }

  #release() {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    if (performance.now() - this.#heldSince < TAP) setText(this.#fault, "Keep it down while you talk.");
    else if (this.#page.microphone.state === "on") this.#understanding.end();
    this.#show();
    // it stays open and nobody hears it, so that the next word is not lost in its opening
    this.#tail = setTimeout(() => {
      this.#want("test");
      this.#tail = setTimeout(() => this.#want("off"), REST);
    }, TAIL);
  }

  /** @param {Way} way */
  #choose(way) {
    this.#way = way;
    this.#page.remember("talk", way);
    clearTimeout(this.#tail);
    setText(this.#fault, "");
    this.#want("off");
  }

  /** @param {MicrophoneState} state */
  #want(state) {
    this.#wanted = state;
    void this.#follow();
    this.#show();
  }

  /** Lets the microphone become what is wanted, one step at a time. */
  async #follow() {
    const { microphone } = this.#page;
    if (this.#isFollowing) return;
    this.#isFollowing = true;
    while (microphone.state !== this.#wanted) {
      const wanted = this.#wanted;
      await microphone.become(wanted);
      if (microphone.state === wanted) continue;
      setText(this.#fault, [microphone.fault, "Typing works without it."].filter(Boolean).join(" "));
      this.#isHeld = false;
      this.#wanted = microphone.state;
    }
    this.#isFollowing = false;
    this.#show();
  }

  /** Somebody else's button opens and closes it, too. */
  #onMicrophone() {
    const { state } = this.#page.microphone;
    if (!this.#isEntered) return;
    if (!this.#isFollowing) {
      this.#wanted = state;
      if (state === "on" && this.#way === "hold" && !this.#isHeld) this.#adopt("open");
    }
    this.#recognise();
    this.#show();
  }

  /** @param {Way} way */
  #adopt(way) {
    this.#way = way;
    this.#page.remember("talk", way);
    for (const radio of this.#ways.querySelectorAll("input")) radio.checked = radio.value === way;
  }

  #recognise() {
    if (this.#recogniser === null) return;
    // it hears the loudspeaker, too: while the portrait talks, the server's ear interrupts it
    const isQuiet = this.#way === "hold" || !this.#isSpeaking;
    if (this.#isEntered && this.#page.microphone.state === "on" && isQuiet) this.#recogniser.start();
    else if (this.#way === "hold") this.#recogniser.stop();
    else this.#recogniser.abort();
  }

  #show() {
    const { state } = this.#page.microphone;
    const isOn = state === "on";
    const isHold = this.#way === "hold";
    const words = isHold
      ? this.#isHeld ? (isOn ? "Listening: let go when you are done" : "Opening the microphone…") : "Hold to talk"
      : isOn ? "Stop listening" : "Start listening";
    setText(byId("talk-text", HTMLElement), words);
    this.#button.setAttribute("aria-pressed", String(isHold ? this.#isHeld : isOn));
    this.#group.dataset["way"] = this.#way;
    const by = this.#group.dataset["by"];
    const hint = by === "nobody" ? HINTS.none : HINTS[this.#way] + (by === "browser" ? ` ${HINTS.browser}` : "");
    setText(byId("talk-hint", HTMLElement), hint);
  }
}
