/**
 * Bringing a new picture: by file, by drag and drop, by paste or by camera. Hands over one
 * image at a time and shows what became of it.
 */

import { Camera } from "./camera.js";
import { byId, setText } from "./dom.js";
import { explain } from "./words.js";

/** Larger files are refused before they travel, in bytes. */
const LARGEST = 20 * 2 ** 20;

export class Picture {
  /** @type {(image: Blob, name: string) => Promise<void>} rejects when it cannot be used */
  onPicture = async () => {};

  #dialog = byId("dialog", HTMLDialogElement);
  #file = byId("file", HTMLInputElement);
  #fault = byId("dialog-fault", HTMLElement);
  #busyImage = byId("busy-image", HTMLImageElement);
  #camera = new Camera();
  #isBusy = false;

  constructor() {
    byId("add", HTMLButtonElement).addEventListener("click", () => this.#openDialog());
    byId("dialog-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => this.#camera.stop());
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

  /** @param {"choose" | "camera" | "busy"} step */
  #showStep(step) {
    if (step !== "camera") this.#camera.stop();
    for (const name of ["choose", "camera", "busy"]) {
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
    this.#isBusy = true;
    this.#showStep("busy");
    const preview = URL.createObjectURL(image);
    this.#busyImage.src = preview;
    setText(byId("busy-text", HTMLElement), "Studying the face…");
    try {
      await this.onPicture(image, name);
      this.#dialog.close();
    } catch (error) {
      this.#showStep("choose");
      setText(this.#fault, explain(error));
    } finally {
      this.#isBusy = false;
      URL.revokeObjectURL(preview);
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
