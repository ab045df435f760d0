/**
 * The visitor's own portraits: brought, named, renamed and deleted. A deletion is only carried out
 * when its time to be undone is over, or when the page is left.
 */

import { portraitImage } from "./api.js";
import { byId, create, setText } from "./dom.js";
import { fetchPart } from "./lazy.js";
import { deletePortrait, keepPortrait, previewPortrait, renamePortrait } from "./library_api.js";
import { announce, notify } from "./notices.js";
import { Picture } from "./picture.js";
import { explain } from "./words.js";

/** @import { Part, Terms } from "./library_api.js" */
/** @import { Portraits } from "./portraits.js" */
/** @import { Portrait } from "./protocol.js" */

/** How long a deletion can be undone, in milliseconds. */
const REGRET = 8_000;

export class Library {
  #portraits;
  #picture = new Picture(previewPortrait);
  /** The editor of names, once it has come. @type {HTMLDialogElement | null} */
  #editor = null;
  /** What the editor shows. @type {Portrait | null} */
  #edited = null;
  /** Deleted here and not yet on the server, with what carries it out. @type {Map<string, number>} */
  #leaving = new Map();

  #session;

  /**
   * @param {Portraits} portraits
   * @param {() => string | null} session the id of the one that goes on
   */
  constructor(portraits, session) {
    this.#portraits = portraits;
    this.#session = session;
    this.#picture.onPicture = (image, name, part, terms) => this.#add(image, name, part, terms);
    portraits.onTile = (portrait, tile) => this.#equip(portrait, tile);
    portraits.refresh();
    addEventListener("pagehide", () => {
      for (const id of this.#leaving.keys()) void this.#carryOut(id);
    });
  }

  /**
   * @param {Blob} image
   * @param {string} name
   * @param {Part | null} part
   * @param {Terms} terms
   */
  async #add(image, name, part, terms) {
    const portrait = await keepPortrait(image, name, part, terms, this.#session());
    this.#spare(portrait.id);
    this.#portraits.add(portrait);
    await this.#portraits.choose(portrait);
    for (const warning of portrait.warnings) notify(warning);
    announce(`${portrait.name} was added.`);
  }

  /**
   * Gives the tile of an upload a button to change it, and keys that do the same.
   * @param {Portrait} portrait
   * @param {HTMLElement} tile
   */
  #equip(portrait, tile) {
    if (portrait.builtin) return;
    const box = create("div", { className: "tile-box" });
    const dots = create("span", {}, "⋯");
    const more = create("button", { type: "button", className: "tile-more", title: "Rename or delete" }, dots);
    more.ariaLabel = `Rename or delete ${portrait.name}`;
    more.addEventListener("click", () => void this.#edit(portrait.id));
    tile.addEventListener("keydown", (event) => {
      if (event.key !== "Delete" && event.key !== "F2") return;
      event.preventDefault();
      void this.#edit(portrait.id, event.key === "Delete");
    });
    tile.replaceWith(box);
    box.hidden = this.#leaving.has(portrait.id);
    box.append(tile, more);
  }

  /**
   * @param {string} id
   * @param {boolean} [isDeleting]
   */
  async #edit(id, isDeleting = false) {
    const portrait = this.#portraits.find(id);
    if (portrait === null) return;
    try {
      this.#editor ??= await this.#loadEditor();
    } catch (error) {
      notify(explain(error), { isFault: true });
      return;
    }
    this.#edited = portrait;
    byId("editor-image", HTMLImageElement).src = portraitImage(id);
    byId("editor-name", HTMLInputElement).value = portrait.name;
    setText(byId("editor-question", HTMLElement), `Delete ${portrait.name}? Recordings that show it go, too; sessions that show it go on with it.`);
    setText(byId("editor-fault", HTMLElement), "");
    this.#ask(isDeleting);
    this.#editor.showModal();
    if (isDeleting) byId("editor-keep", HTMLButtonElement).focus();
    else byId("editor-name", HTMLInputElement).select();
  }

  /** @returns {Promise<HTMLDialogElement>} */
  async #loadEditor() {
    document.body.append(...(await fetchPart("editor")));
    const editor = byId("editor", HTMLDialogElement);
    byId("editor-close", HTMLButtonElement).addEventListener("click", () => editor.close());
    editor.addEventListener("click", (event) => {
      if (event.target === editor) editor.close();
    });
    byId("editor-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#rename(editor);
    });
    byId("editor-delete", HTMLButtonElement).addEventListener("click", () => {
      this.#ask(true);
      byId("editor-keep", HTMLButtonElement).focus();
    });
    byId("editor-keep", HTMLButtonElement).addEventListener("click", () => {
      this.#ask(false);
      byId("editor-delete", HTMLButtonElement).focus();
    });
    byId("editor-sure", HTMLButtonElement).addEventListener("click", () => {
      editor.close();
      if (this.#edited !== null) void this.#delete(this.#edited);
    });
    return editor;
  }

  /** @param {boolean} isDeleting whether the editor asks for confirmation */
  #ask(isDeleting) {
    byId("editor-confirm", HTMLElement).hidden = !isDeleting;
    byId("editor-form", HTMLElement).hidden = isDeleting;
  }

  /** @param {HTMLDialogElement} editor */
  async #rename(editor) {
    const name = byId("editor-name", HTMLInputElement).value.trim();
    if (this.#edited === null || name === "") return;
    const save = byId("editor-save", HTMLButtonElement);
    save.disabled = true;
    try {
      const renamed = await renamePortrait(this.#edited.id, name);
      editor.close(); // gives the focus back to the tile, which is then made anew
      this.#portraits.replace(renamed);
      announce(`The portrait is called ${name} now.`);
    } catch (error) {
      setText(byId("editor-fault", HTMLElement), explain(error));
    } finally {
      save.disabled = false;
    }
  }

  /** @param {Portrait} portrait */
  async #delete(portrait) {
    const wasChosen = this.#portraits.chosen?.id === portrait.id;
    const other = this.#portraits.all.find(({ id }) => id !== portrait.id && !this.#leaving.has(id));
    this.#leaving.set(portrait.id, setTimeout(() => void this.#carryOut(portrait.id), REGRET));
    this.#show(portrait.id, false);
    const undo = () => {
      this.#spare(portrait.id);
      // whoever is told of a failed choice is told by the choice itself
      if (wasChosen) void this.#portraits.choose(portrait).catch(() => undefined);
    };
    notify(`${portrait.name} was deleted.`, { action: { label: "Undo", act: undo } });
    byId("add", HTMLButtonElement).focus();
    if (wasChosen && other !== undefined) await this.#portraits.choose(other).catch(() => undefined);
  }

  /**
   * Takes a deletion back.
   * @param {string} id
   */
  #spare(id) {
    clearTimeout(this.#leaving.get(id));
    this.#leaving.delete(id);
    this.#show(id, true);
  }

  /** @param {string} id */
  async #carryOut(id) {
    clearTimeout(this.#leaving.get(id));
    try {
      await deletePortrait(id);
    } catch (error) {
      this.#spare(id);
      notify(explain(error), { isFault: true });
      return;
    }
    this.#leaving.delete(id);
    this.#portraits.remove(id);
  }

  /**
   * @param {string} id
   * @param {boolean} isShown
   */
  #show(id, isShown) {
    const box = this.#portraits.tile(id)?.parentElement;
    if (box) box.hidden = !isShown;
  }
}
