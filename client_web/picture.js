/**
 * Bringing a new picture: by file, by drag and drop, by paste or by camera. One at a time is looked
 * at, shown, and handed over when somebody wants to keep it.
 */

import { Camera } from "./camera.js";
import { byId, setText } from "./dom.js";
import { Proof } from "./proof.js";
import { explain } from "./words.js";

/** @import { Finding, Part, Terms } from "./library_api.js" */

/** Larger files are refused before they travel, in bytes. */
const LARGEST = 20 * 2 ** 20;

/** The longest name that the server accepts, in characters. */
const LONGEST_NAME = 60;

export class Picture {
  /** @type {(image: Blob, name: string, part: Part | null, terms: Terms) => Promise<void>} rejects when it cannot be kept */
  onPicture = async () => {};

  #dialog = byId("dialog", HTMLDialogElement);
  #file = byId("file", HTMLInputElement);
  #fault = byId("dialog-fault", HTMLElement);
  #busyImage = byId("busy-image", HTMLImageElement);
  #camera = new Camera();
  #proof = new Proof();
  #isBusy = false;
  /** The picture that is being looked at. */
  #url = "";

  /** @param {(image: Blob, part: Part | null) => Promise<Finding>} look */
  constructor(look) {
    this.#proof.onLook = look;
    this.#proof.onKeep = (image, name, part, terms) => void this.#keep(image, name, part, terms);
    this.#proof.onFault = (sentence) => setText(this.#fault, sentence);
    byId("proof-another", HTMLButtonElement).addEventListener("click", () => this.#openDialog());
    byId("add", HTMLButtonElement).addEventListener("click", () => this.#openDialog());
    byId("dialog-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => this.#showStep("choose"));
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
    byId("choose-file", HTMLButtonElement).addEventListener("click", () => this.#file.click());
    this.#file.addEventListener("change", () => this.#takeFirst(this.#file.files));
    byId("choose-camera", HTMLButtonElement).addEventListener("click", () => void this.#openCamera());
    byId("camera-back", HTMLButtonElement).addEventListener("click", () => this.#showStep("choose"));
    this.#camera.onSnapshot = (image) => void this.#take(image, "You.jpg");
    this.#acceptDrops();
    document.addEventListener("paste", (event) => this.#onPaste(event));
  }

  #openDialog() {
    this.#showStep("choose");
    setText(this.#fault, "");
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  async #openCamera() {
    setText(this.#fault, "");
    const fault = await this.#camera.start();
    if (fault === null) this.#showStep("camera");
    else setText(this.#fault, fault);
  }

  /** @param {"choose" | "camera" | "busy" | "proof"} step */
  #showStep(step) {
    if (step !== "camera") this.#camera.stop();
    if (step === "choose" || step === "camera") {
      this.#proof.leave();
      URL.revokeObjectURL(this.#url);
    }
    for (const name of ["choose", "camera", "busy", "proof"]) {
      byId(`dialog-${name}`, HTMLElement).hidden = name !== step;
    }
  }

  /** @param {FileList | null | undefined} files */
  #takeFirst(files) {
    const file = files?.[0];
    if (file !== undefined) void this.#take(file, file.name);
    // the same file can be chosen again after a refusal
    this.#file.value = "";
  }

  /**
   * @param {Blob} image
   * @param {string} name
   */
  async #take(image, name) {
    if (this.#isBusy) return;
    this.#openDialog();
    const fault = refusePicture(image);
    if (fault !== null) {
      setText(this.#fault, fault);
      return;
    }
    this.#url = URL.createObjectURL(image);
    await this.#work("Looking for the face…", "choose", async () => {
      await this.#proof.show(image, this.#url, proposeName(name));
      if (!this.#dialog.open) return; // closed meanwhile
      this.#showStep("proof");
      this.#proof.focus();
    });
  }

  /**
   * @param {Blob} image
   * @param {string} name
   * @param {Part | null} part
   * @param {Terms} terms
   */
  async #keep(image, name, part, terms) {
    if (this.#isBusy) return;
    setText(this.#fault, "");
    await this.#work("Studying the face…", "proof", async () => {
      await this.onPicture(image, name, part, terms);
      this.#dialog.close();
    });
  }

  /**
   * Shows that something takes its time; says what went wrong.
   * @param {string} words
   * @param {"choose" | "proof"} otherwise where to go then
   * @param {() => Promise<void>} deed
   */
  async #work(words, otherwise, deed) {
    this.#isBusy = true;
    this.#busyImage.src = this.#url;
    setText(byId("busy-text", HTMLElement), words);
    this.#showStep("busy");
    try {
      await deed();
    } catch (error) {
      this.#showStep(otherwise);
      setText(this.#fault, explain(error));
    } finally {
      this.#isBusy = false;
    }
  }

  #acceptDrops() {
    const veil = byId("drop-veil", HTMLElement);
    const drop = byId("drop", HTMLElement);
    /** @param {boolean} isOver */
    const show = (isOver) => {
      veil.hidden = !isOver || this.#dialog.open;
      drop.classList.toggle("is-over", isOver);
    };
    document.addEventListener("dragover", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      show(true);
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) show(false);
    });
    document.addEventListener("drop", (event) => {
      show(false);
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      this.#takeFirst(event.dataTransfer.files);
    });
  }

  /** @param {ClipboardEvent} event */
  #onPaste(event) {
    const files = event.clipboardData?.files;
    if (!files?.length) return;
    event.preventDefault();
    this.#takeFirst(files);
  }
}

/**
 * A name for a picture, from that of its file.
 * @param {string} file
 * @returns {string}
 */
export function proposeName(file) {
  const words = file.replace(/\.[a-z0-9]{2,5}$/i, "").replace(/[_\s]+/g, " ").trim();
  return words.slice(0, LONGEST_NAME) || "Portrait";
}

/**
 * Says why a file is not worth sending, or null.
 * @param {Blob} image
 * @returns {string | null}
 */
export function refusePicture(image) {
  if (image.size === 0) return "That file is empty.";
  if (image.size > LARGEST) {
    const megabytes = Math.round(image.size / 2 ** 20);
    return `That file has ${megabytes} MB. Choose one below ${LARGEST / 2 ** 20} MB.`;
  }
  if (image.type !== "" && !image.type.startsWith("image/")) {
    return "That file is not a picture. JPEG, PNG and WebP pictures work.";
  }
  return null;
}
