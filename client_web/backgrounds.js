/**
 * What is behind the portrait: its own background, a blurred one, a colour, a picture, nothing.
 * Native radio buttons, so the arrow keys work. Knows no connection.
 */

import { byId, setText } from "./dom.js";
import { refusePicture } from "./picture.js";
import { explain } from "./words.js";

export class Backgrounds {
  /** @type {(name: string) => Promise<void>} rejects when the background cannot be had */
  onChoose = async () => {};

  /** Keeps a picture for use as a background. @type {(image: Blob) => Promise<string>} */
  onPicture = async () => "";

  #group = byId("backgrounds", HTMLFieldSetElement);
  #colour = byId("background-colour", HTMLInputElement);
  #file = byId("background-file", HTMLInputElement);
  #image = byId("background-image", HTMLImageElement);
  #fault = byId("background-fault", HTMLElement);
  /** The name of the picture, once there is one. @type {string | null} */
  #picture = null;
  /** @type {string | null} */
  #chosen = null;

  constructor() {
    for (const input of this.#inputs) {
      input.addEventListener("change", () => void this.#choose(input.value));
    }
    this.#colour.addEventListener("input", () => this.#showColour());
    this.#colour.addEventListener("change", () => void this.#choose("colour"));
    byId("background-choose", HTMLButtonElement).addEventListener("click", () => this.#file.click());
    this.#file.addEventListener("change", () => {
      const file = this.#file.files?.[0];
      if (file !== undefined) void this.#take(file);
      this.#file.value = ""; // the same file can be chosen again after a refusal
    });
    this.#showColour();
  }

  /** The name to ask a new session for, null to leave it to the server. */
  get chosen() {
    return this.#chosen;
  }

  /**
   * Shows a background as chosen without telling anyone; null forgets what was.
   * @param {string | null} name
   */
  mark(name) {
    this.#chosen = name;
    if (name === null) return;
    if (name.startsWith("image-")) this.#picture = name;
    if (/^#[0-9a-f]{6}$/.test(name)) this.#colour.value = name;
    this.#showColour();
    this.#check(this.#kind(name));
  }

  /** @param {string} kind a radio button's value */
  async #choose(kind) {
    this.#check(kind);
    setText(this.#fault, "");
    const name = kind === "colour" ? this.#colour.value : kind === "image" ? this.#picture : kind;
    if (name === null) return; // no picture yet: the button beside it waits
    const former = this.#chosen;
    this.#chosen = name;
    try {
      await this.onChoose(name);
    } catch {
      // whoever set `onChoose` has shown the failure already
      if (this.#chosen === name) this.mark(former ?? "keep");
    }
  }

  /** @param {File} file */
  async #take(file) {
    setText(this.#fault, refusePicture(file) ?? "");
    if (this.#fault.textContent !== "") return;
    this.#group.setAttribute("aria-busy", "true");
    try {
      this.#picture = await this.onPicture(file);
      URL.revokeObjectURL(this.#image.src);
      this.#image.src = URL.createObjectURL(file);
      this.#image.hidden = false;
      await this.#choose("image");
    } catch (error) {
      setText(this.#fault, explain(error));
    } finally {
      this.#group.removeAttribute("aria-busy");
    }
  }

  /** @param {string} kind */
  #check(kind) {
    for (const input of this.#inputs) input.checked = input.value === kind;
    this.#group.dataset["kind"] = kind;
  }

  /**
   * @param {string} name
   * @returns {string}
   */
  #kind(name) {
    const own = this.#inputs.find(({ value }) => value === name);
    if (own !== undefined) return own.value;
    return name.startsWith("image-") ? "image" : "colour";
  }

  #showColour() {
    this.#group.style.setProperty("--chosen-colour", this.#colour.value);
  }

  get #inputs() {
    return [...this.#group.querySelectorAll("input")].filter(({ type }) => type === "radio");
  }
}
