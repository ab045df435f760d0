/**
 * What of the portrait follows the camera, and how smoothly; remembered.
 */

import { byId, setText } from "./dom.js";

/** @import { Page } from "./modes/mode.js" */
/** @import { ClientMessage } from "./protocol.js" */

/** Lips that follow both are opened by both, and closed where speech closes them. */
const MOUTH = /** @type {const} */ ({ voice: "off", face: "replace", both: "add" });

/** @typedef {keyof typeof MOUTH} Lips */

export class PuppetSettings {
  /** Called when something was changed. @type {() => void} */
  onChange = () => {};

  #head = byId("puppet-head", HTMLInputElement);
  #smoothing = byId("puppet-smoothing", HTMLInputElement);
  #lips = [...byId("puppet-lips", HTMLFieldSetElement).querySelectorAll("input")];

  /** @param {Page} page */
  constructor(page) {
    this.#restore(page.recall("puppet"));
    this.#show();
    for (const input of [this.#head, this.#smoothing, ...this.#lips]) {
      input.addEventListener("input", () => this.#show());
      input.addEventListener("change", () => {
        const { checked: head } = this.#head;
        page.remember("puppet", JSON.stringify({ lips: this.#chosen, head, smoothing: this.#smoothing.valueAsNumber }));
        this.onChange();
      });
    }
  }

  /** @returns {ClientMessage} what the session is told */
  get message() {
    const rest = /** @type {const} */ ({ eyes: "replace", brows: "replace", cheeks: "replace" });
    /** @type {Record<string, "add" | "replace" | "off">} */
    const parts = { mouth: MOUTH[this.#chosen], head: this.#head.checked ? "replace" : "off", ...rest };
    return { type: "motion.configure", parts, smoothing: this.#smoothing.valueAsNumber };
  }

  /** @returns {Lips} */
  get #chosen() {
    return /** @type {Lips} */ (this.#lips.find(({ checked }) => checked)?.value ?? "voice");
  }

  /** @param {string | null} kept */
  #restore(kept) {
    if (kept === null) return;
    const { lips, head, smoothing } = JSON.parse(kept);
    for (const input of this.#lips) input.checked = input.value === lips;
    this.#head.checked = head;
    this.#smoothing.valueAsNumber = smoothing;
  }

  #show() {
    const output = this.#smoothing.parentElement?.querySelector("output");
    if (output) setText(output, `${Math.round(100 * this.#smoothing.valueAsNumber)} %`);
  }
}
