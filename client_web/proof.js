/**
 * A picture before it is kept: the face found drawn over it, the square that will be shown, warnings
 * or the reason of a refusal, and its name. Asks whoever set `onLook`; knows no server.
 */

import { CropBox } from "./crop_box.js";
import { byId, create, setText } from "./dom.js";
import { advise, explain } from "./words.js";

/** @import { Finding, Part, Terms } from "./library_api.js" */

const SVG = "http://www.w3.org/2000/svg";

export class Proof {
  /** @type {(image: Blob, part: Part | null) => Promise<Finding>} */
  onLook = () => Promise.reject(new Error("nobody looks"));

  /** @type {(image: Blob, name: string, part: Part | null, terms: Terms) => void} */
  onKeep = () => {};

  /** Called with a sentence when the picture is refused, with "" when it no longer is. @type {(sentence: string) => void} */
  onFault = () => {};

  #step = byId("dialog-proof", HTMLElement);
  #image = byId("proof-image", HTMLImageElement);
  #drawing = byId("proof-drawing", SVGSVGElement);
  #points = document.createElementNS(SVG, "path");
  #name = byId("proof-name", HTMLInputElement);
  #rights = byId("proof-rights", HTMLFieldSetElement);
  #stay = byId("proof-stay", HTMLInputElement);
  #keep = byId("keep", HTMLButtonElement);
  #whole = byId("proof-whole", HTMLButtonElement);
  #box = new CropBox();
  /** @type {Blob | null} */
  #picture = null;
  /** The part that somebody chose. @type {Part | null} */
  #part = null;
  #look = 0;

  constructor() {
    this.#points.setAttribute("class", "proof-points");
    this.#drawing.append(this.#points);
    this.#box.onChosen = () => void this.#lookAgain(this.#box.part);
    this.#whole.addEventListener("click", () => void this.#lookAgain(null));
    byId("proof-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.#name.value.trim();
      const rights = this.#rights.querySelector("input:checked")?.getAttribute("value");
      if (this.#picture === null || name === "" || !rights || this.#keep.disabled) return;
      this.onKeep(this.#picture, name, this.#part, { rights, isKept: this.#stay.checked });
    });
  }

  /**
   * Looks at a new picture. Rejects where it cannot be read.
   * @param {Blob} picture
   * @param {string} url of the same picture
   * @param {string} name proposed
   */
  async show(picture, url, name) {
    this.#picture = picture;
    this.#part = null;
    const look = ++this.#look;
    const finding = await this.onLook(picture, null);
    if (look !== this.#look) return;
    this.#image.src = url;
    this.#name.value = name;
    // what was said of one picture is not said of the next
    for (const input of this.#rights.querySelectorAll("input")) input.checked = false;
    this.#stay.checked = false;
    this.#drawing.setAttribute("viewBox", `0 0 ${finding.width} ${finding.height}`);
    this.#box.setPicture(finding.width, finding.height);
    this.#tell(finding);
    if (finding.frame === null) {
      const side = 0.6 * Math.min(finding.width, finding.height);
      this.#box.place((finding.width - side) / 2, (finding.height - side) / 2, side);
    }
  }

  /** Takes the words back when another picture is asked for. */
  leave() {
    this.#look += 1;
    this.#picture = null;
    this.#image.removeAttribute("src");
  }

  /** The one thing to do now. */
  focus() {
    if (this.#keep.disabled) byId("proof-another", HTMLButtonElement).focus();
    else this.#name.select();
  }

  /** @param {Part | null} part */
  async #lookAgain(part) {
    if (this.#picture === null) return;
    const look = ++this.#look;
    this.#part = part;
    this.#keep.disabled = true;
    this.#step.setAttribute("aria-busy", "true");
    setText(byId("proof-text", HTMLElement), "Looking again…");
    try {
      const finding = await this.onLook(this.#picture, part);
      if (look === this.#look) this.#tell(finding);
    } catch (error) {
      if (look !== this.#look) return;
      this.#warn([]);
      setText(byId("proof-text", HTMLElement), "");
      this.onFault(explain(error));
    } finally {
      if (look === this.#look) this.#step.removeAttribute("aria-busy");
    }
  }

  /** @param {Finding} finding */
  #tell(finding) {
    const { accepted, frame, landmarks } = finding;
    this.#points.setAttribute("d", landmarks.map(([x, y]) => `M${x} ${y}h0`).join(""));
    if (frame !== null) this.#box.place(frame[0], frame[1], frame[2]);
    this.#keep.disabled = !accepted;
    this.#name.disabled = this.#rights.disabled = !accepted;
    this.#whole.hidden = this.#part === null;
    this.#step.dataset["verdict"] = accepted ? "accepted" : "refused";
    const words = accepted ? "The face was found. The frame is what will be seen; move it if you like." : "";
    setText(byId("proof-text", HTMLElement), words);
    this.#warn(finding.warnings);
    const hint = landmarks.length > 0 || this.#part !== null ? "" : " Or move the frame to the face.";
    this.onFault(accepted ? "" : `${advise(finding.code, finding.message)}${hint}`);
  }

  /** @param {string[]} warnings */
  #warn(warnings) {
    const list = byId("proof-warnings", HTMLElement);
    list.replaceChildren(...warnings.map((warning) => create("li", {}, warning)));
    list.hidden = warnings.length === 0;
  }
}
