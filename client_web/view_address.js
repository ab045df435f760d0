/**
 * The address of the page that shows a session's picture alone, to be copied into OBS.
 */

import { address } from "./api.js";
import { byId, setText } from "./dom.js";

/** How long "Copied" stays, in milliseconds. */
const STAY = 2_000;

export class ViewAddress {
  #field = byId("puppet-address", HTMLInputElement);
  #copy = byId("puppet-copy", HTMLButtonElement);
  #link = byId("puppet-view", HTMLAnchorElement);
  #transparent = byId("puppet-transparent", HTMLInputElement);
  #muted = byId("puppet-muted", HTMLInputElement);
  /** @type {string | null} */
  #session = null;
  #calm = 0;

  constructor() {
    for (const input of [this.#transparent, this.#muted]) input.addEventListener("change", () => this.#draw());
    this.#field.addEventListener("focus", () => this.#field.select());
    this.#copy.addEventListener("click", () => void this.#onCopy());
  }

  /** @param {string | null} session null while there is none */
  show(session) {
    this.#session = session;
    this.#draw();
  }

  #draw() {
    const wishes = [this.#transparent.checked && "transparent", this.#muted.checked && "muted"].filter(Boolean);
    const query = wishes.length > 0 ? `?${wishes.join("&")}` : "";
    const href = this.#session === null ? "" : address(`view/${this.#session}${query}`).href;
    this.#field.value = href;
    this.#copy.disabled = this.#link.hidden = href === "";
    if (href !== "") this.#link.href = href;
  }

  async #onCopy() {
    try {
      await navigator.clipboard.writeText(this.#field.value);
      setText(this.#copy, "Copied");
    } catch {
      // pages that are not secure have no clipboard: the address is selected instead
      this.#field.focus();
      setText(this.#copy, "Selected: copy it by key");
    }
    clearTimeout(this.#calm);
    this.#calm = setTimeout(() => setText(this.#copy, "Copy the address"), STAY);
  }
}
