/**
 * The words being spoken, over the picture, and the switch for them.
 */

import { CaptionLine } from "./caption_line.js";
import { byId, setText } from "./dom.js";
import { recall, remember } from "./preferences.js";

export { join, parts } from "./caption_line.js";

export class Captions extends CaptionLine {
  #line = byId("captions", HTMLElement);
  #switch = byId("captions-switch", HTMLButtonElement);
  #isWanted = recall("captions") !== "off";
  #words = "";

  constructor() {
    super((text) => {
      this.#words = text;
      this.#draw();
    });
    this.#switch.addEventListener("click", () => this.#toggle());
    this.#draw();
  }

  #toggle() {
    this.#isWanted = !this.#isWanted;
    remember("captions", this.#isWanted ? "on" : "off");
    this.#draw();
  }

  #draw() {
    this.#switch.setAttribute("aria-pressed", String(this.#isWanted));
    this.#switch.title = this.#isWanted ? "Captions are on" : "Captions are off";
    setText(this.#line, this.#words.trim());
    this.#line.hidden = !this.#isWanted || this.#words.trim() === "";
  }
}
