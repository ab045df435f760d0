/**
 * The row of portraits to choose from. Native radio buttons, so the arrow keys work.
 */

import { getPortraits, portraitImage } from "./api.js";
import { byId, create } from "./dom.js";

/** @import { Portrait } from "./protocol.js" */

export class Portraits {
  /** @type {(portrait: Portrait) => Promise<void>} rejects when the portrait cannot be taken */
  onChoose = async () => {};

  /** Called when the chosen one has another name. @type {(portrait: Portrait) => void} */
  onRename = () => {};

  /** Called with the tile of every portrait that is listed, once it is in its place. @type {(portrait: Portrait, tile: HTMLElement) => void} */
  onTile = () => {};

  #gallery = byId("gallery", HTMLElement);
  /** @type {Portrait[]} */
  #portraits = [];
  /** @type {string | null} */
  #chosen = null;

  /** @returns {Portrait | null} */
  get chosen() {
    return this.#portraits.find(({ id }) => id === this.#chosen) ?? null;
  }

  /** Every portrait, the server's default first. */
  get all() {
    return this.#portraits;
  }

  /**
   * @param {string} id
   * @returns {Portrait | null}
   */
  find(id) {
    return this.#portraits.find((portrait) => portrait.id === id) ?? null;
  }

  /**
   * @param {string} id
   * @returns {HTMLElement | null}
   */
  tile(id) {
    for (const input of this.#gallery.querySelectorAll("input")) {
      if (input.value === id) return input.closest(".tile");
    }
    return null;
  }

  /**
   * Lists portraits and marks the first of `wishes` that exists.
   * @param {Portrait[]} portraits
   * @param {(string | null)[]} wishes ids, best first
   */
  list(portraits, wishes) {
    this.#portraits = portraits;
    this.refresh();
    const ids = portraits.map(({ id }) => id);
    const found = [...wishes, ids[0] ?? null].find((id) => id !== null && ids.includes(id));
    this.mark(found ?? null);
  }

  /** Makes all tiles anew. */
  refresh() {
    for (const tile of [...this.#gallery.children]) if (!tile.matches(".add")) tile.remove();
    for (const portrait of this.#portraits) this.#append(portrait);
    this.mark(this.#chosen);
  }

  /**
   * Adds a portrait at the end, just before "Add yours"; one that is there takes its new name.
   * @param {Portrait} portrait
   */
  add(portrait) {
    if (this.find(portrait.id) !== null) return this.replace(portrait);
    this.#portraits = [...this.#portraits, portrait];
    return this.#append(portrait);
  }

  /**
   * Lists a portrait under its new name.
   * @param {Portrait} portrait
   */
  replace(portrait) {
    this.#portraits = this.#portraits.map((former) => (former.id === portrait.id ? portrait : former));
    const hadFocus = this.#gallery.contains(document.activeElement);
    this.refresh();
    if (hadFocus) this.tile(portrait.id)?.querySelector("input")?.focus();
    if (this.#chosen === portrait.id) this.onRename(portrait);
  }

  /**
   * Takes a portrait out.
   * @param {string} id
   */
  remove(id) {
    this.#portraits = this.#portraits.filter((portrait) => portrait.id !== id);
    this.refresh();
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
   * Takes a portrait out if the server has it no more: one that is not kept goes some minutes after
   * its session, whoever sees it listed.
   * @param {string} id
   */
  async #doubt(id) {
    const portraits = await getPortraits();
    if (portraits.some((portrait) => portrait.id === id)) return;
    const focused = document.activeElement;
    this.remove(id);
    if (focused instanceof HTMLInputElement) this.tile(focused.value)?.querySelector("input")?.focus();
  }

  /** @param {Portrait} portrait */
  #append(portrait) {
    const tile = this.#tile(portrait);
    this.#gallery.querySelector(".add")?.before(tile);
    this.onTile(portrait, tile);
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
    // without an answer the tile stays: what is wrong with the connection is told elsewhere
    image.addEventListener("error", () => this.#doubt(portrait.id).catch(() => undefined));
    const name = create("span", { className: "tile-name" }, portrait.name);
    return create("label", { className: "tile", title: portrait.name }, input, image, name);
  }
}
