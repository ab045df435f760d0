/**
 * The row of portraits to choose from. Native radio buttons, so the arrow keys work.
 */

import { portraitImage } from "./api.js";
import { byId, create } from "./dom.js";

/** @import { Portrait } from "./protocol.js" */

export class Portraits {
  /** @type {(portrait: Portrait) => Promise<void>} rejects when the portrait cannot be taken */
  onChoose = async () => {};

  #gallery = byId("gallery", HTMLElement);
  /** @type {Portrait[]} */
  #portraits = [];
  /** @type {string | null} */
  #chosen = null;

  /** @returns {Portrait | null} */
  get chosen() {
    return this.#portraits.find(({ id }) => id === this.#chosen) ?? null;
  }

  /**
   * Lists portraits and marks the first of `wishes` that exists.
   * @param {Portrait[]} portraits
   * @param {(string | null)[]} wishes ids, best first
   */
  list(portraits, wishes) {
    this.#portraits = portraits;
    for (const tile of this.#gallery.querySelectorAll(".tile:not(.add)")) tile.remove();
    this.#gallery.prepend(...portraits.map((portrait) => this.#tile(portrait)));
    const ids = portraits.map(({ id }) => id);
    const found = [...wishes, ids[0] ?? null].find((id) => id !== null && ids.includes(id));
    this.mark(found ?? null);
  }

  /**
   * Adds a new portrait at the end, just before "Add yours".
   * @param {Portrait} portrait
   */
  add(portrait) {
    if (this.#portraits.some(({ id }) => id === portrait.id)) return;
    this.#portraits = [...this.#portraits, portrait];
    this.#gallery.querySelector(".add")?.before(this.#tile(portrait));
  }

  /**
   * Marks a portrait as chosen without telling anyone.
   * @param {string | null} id
   */
  mark(id) {
    this.#chosen = id;
    for (const input of this.#gallery.querySelectorAll("input")) input.checked = input.value === id;
  }

  /**
   * Chooses a portrait; when it cannot be taken, the former one stays.
   * @param {Portrait} portrait
   */
  async choose(portrait) {
    const former = this.#chosen;
    this.mark(portrait.id);
    const tile = this.#gallery.querySelector("input:checked")?.closest(".tile");
    tile?.setAttribute("aria-busy", "true");
    try {
      await this.onChoose(portrait);
    } catch (error) {
      if (this.#chosen === portrait.id) this.mark(former);
      throw error;
    } finally {
      tile?.removeAttribute("aria-busy");
    }
  }

  /**
   * @param {Portrait} portrait
   * @returns {HTMLLabelElement}
   */
  #tile(portrait) {
    const input = create("input", { type: "radio", name: "portrait", value: portrait.id });
    // whoever set `onChoose` has shown the failure already
    input.addEventListener("change", () => this.choose(portrait).catch(() => undefined));
    const image = create("img", { src: portraitImage(portrait.id), alt: "", loading: "lazy" });
    const name = create("span", { className: "tile-name" }, portrait.name);
    return create("label", { className: "tile", title: portrait.name }, input, image, name);
  }
}
