/**
 * Mode Puppet: the visitor's face and voice move the portrait, which is shown elsewhere.
 */

import { DeviceSelect } from "../device_select.js";
import { explainDevice } from "../device_words.js";
import { byId, setText } from "../dom.js";
import { FaceCamera } from "../face_camera.js";
import { BrokenTrackerError, MissingTrackerError } from "../face_tracker.js";
import { PuppetSettings } from "../puppet_settings.js";
import { ViewAddress } from "../view_address.js";

/** @import { Mode, Page } from "./mode.js" */
/** @import { Phase } from "../connection.js" */
/** @import { ServerMessage } from "../protocol.js" */

/** Seconds of a face in sight after which it is taken for the neutral one. */
const SETTLING = 1;

/** @implements {Mode} */
export class PuppetMode {
  #page;
  #camera = new FaceCamera();
  #settings;
  #view = new ViewAddress();
  #cameras = new DeviceSelect(byId("camera-device", HTMLSelectElement), "videoinput");
  #button = byId("puppet-camera", HTMLButtonElement);
  #neutral = byId("puppet-neutral", HTMLButtonElement);
  #fault = byId("puppet-fault", HTMLElement);
  #settling = 0;
  /** The session that knows the neutral face. @type {string | null} */
  #calibrated = null;
  #isEntered = false;

  /** @param {Page} page */
  constructor(page) {
    this.#page = page;
    this.#settings = new PuppetSettings(page);
    this.#settings.onChange = () => this.#configure();
    this.#button.addEventListener("click", () => void (this.#camera.isOpen ? this.#stop() : this.#start()));
    this.#neutral.addEventListener("click", () => this.#calibrate());
    this.#cameras.onChoose = () => {
      if (this.#camera.isOpen) void this.#start();
    };
    this.#camera.onFace = ({ coefficients, t }) => {
      document.body.dataset["faces"] = String(this.#camera.rate);
      const isSent = page.connection.sendLossy({ type: "motion", coefficients, mode: "replace", t });
      // a face that comes back keeps its neutral
      if (isSent && this.#calibrated !== this.#session) this.#settle();
    };
    this.#camera.onSight = (isSeen) => this.#onSight(isSeen);
    this.#camera.onEnd = (error) => {
      this.#stop();
      this.#complain(`The camera ended; your voice moves the portrait on. ${reasonOf(error)}`);
    };
    document.body.dataset["face"] = "off";
  }

  enter() {
    this.#isEntered = true;
    this.#page.microphone.setUse("puppet");
    // a page that is not secure has no devices; the button says so
    if (window.isSecureContext) void this.#cameras.refresh();
  }

  leave() {
    this.#isEntered = false;
    this.#stop();
  }

  /** @param {Phase} phase */
  onPhase(phase) {
    if (phase.name !== "live") this.#view.show(null);
  }

  /** @param {ServerMessage} message */
  onMessage(message) {
    if (message.type !== "session.ready") return;
    this.#view.show(message.session_id);
    if (this.#calibrated !== message.session_id) this.#configure(); // another knows nothing of it
  }

  async #start() {
    if (this.#button.disabled) return; // it is on its way
    setText(this.#fault, "");
    this.#button.disabled = true;
    setText(byId("puppet-camera-text", HTMLElement), "Waiting for the camera…");
    try {
      await this.#camera.open();
      this.#configure();
      this.#say("Look straight into the camera.");
      await this.#cameras.refresh();
      if (!this.#isEntered) this.#stop(); // it was left meanwhile
    } catch (error) {
      this.#stop();
      this.#complain(reasonOf(error));
    } finally {
      this.#button.disabled = false;
      this.#show();
    }
  }

  #stop() {
    this.#camera.close();
    this.#unsettle();
    this.#calibrated = null;
    this.#neutral.disabled = true;
    document.body.dataset["face"] = "off";
    this.#say("");
    this.#show();
  }

  #show() {
    const { isOpen } = this.#camera;
    this.#button.setAttribute("aria-pressed", String(isOpen));
    this.#neutral.hidden = !isOpen;
    setText(byId("puppet-camera-text", HTMLElement), isOpen ? "Stop the camera" : "Use the camera");
  }

  /** @param {boolean} isSeen */
  #onSight(isSeen) {
    if (!this.#camera.isOpen) return;
    document.body.dataset["face"] = isSeen ? "seen" : "lost";
    this.#neutral.disabled = !isSeen;
    this.#say(isSeen ? "Your face moves the portrait." : "Your face is out of sight; your voice goes on.");
    if (!isSeen) this.#unsettle();
  }

  /** Takes the face for the neutral one when it has been there, and was sent, for a moment. */
  #settle() {
    this.#settling ||= setTimeout(() => this.#calibrate(), 1_000 * SETTLING);
  }

  #unsettle() {
    clearTimeout(this.#settling);
    this.#settling = 0;
  }

  #calibrate() {
    this.#unsettle();
    if (!this.#page.connection.send({ type: "motion.calibrate" })) return;
    this.#calibrated = this.#session;
    this.#page.announce("This is the neutral face now.");
  }

  #configure() {
    if (this.#camera.isOpen) this.#page.connection.send(this.#settings.message);
  }

  get #session() {
    return this.#page.connection.session?.session_id ?? null;
  }

  /** @param {string} words */
  #say(words) {
    setText(byId("puppet-state", HTMLElement), words);
  }

  /** @param {string} words */
  #complain(words) {
    setText(this.#fault, words);
  }
}

/**
 * @param {unknown} error
 * @returns {string}
 */
function reasonOf(error) {
  const isTracker = error instanceof MissingTrackerError || error instanceof BrokenTrackerError;
  return isTracker ? error.message : explainDevice(error, "camera");
}
