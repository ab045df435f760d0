/**
 * How the portrait feels and moves: emotion, strength, liveliness, where it looks, and gestures
 * at a press. Knows no connection.
 */

import { byId, create, setText } from "./dom.js";

/** @import { Style } from "./protocol.js" */

/** @type {Record<string, string>} */
const GESTURES = {
  nod: "Nod",
  shake: "Shake the head",
  tilt: "Tilt the head",
  brow_raise: "Raise the brows",
  wink: "Wink",
  smile: "Smile",
  frown: "Frown",
  look_around: "Look around",
  blink: "Blink",
};

export class Expression {
  /** @type {(style: Style) => Promise<void>} rejects when the server refuses */
  onStyle = async () => {};

  /** @type {(name: string) => void} */
  onGesture = () => {};

  #group = byId("expression", HTMLFieldSetElement);
  #emotion = byId("emotion", HTMLSelectElement);
  #gaze = byId("gaze", HTMLSelectElement);
  #intensity = byId("intensity", HTMLInputElement);
  #liveliness = byId("liveliness", HTMLInputElement);
  #gestures = byId("gestures", HTMLUListElement);
  /** What the server said last. @type {Style | null} */
  #told = null;
  /** What the visitor chose, on this visit or an earlier one. @type {Style} */
  #chosen = {};

  constructor() {
    this.#emotion.addEventListener("change", () => this.#choose({ emotion: this.#emotion.value }));
    this.#gaze.addEventListener("change", () => this.#choose({ gaze: JSON.parse(this.#gaze.value) }));
    this.#intensity.addEventListener("change", () => this.#choose({ intensity: this.#intensity.valueAsNumber }));
    this.#liveliness.addEventListener("change", () => {
      const size = this.#liveliness.valueAsNumber;
      this.#choose({ head_motion: size, expressiveness: size });
    });
    this.#gestures.addEventListener("click", ({ target }) => {
      if (target instanceof HTMLButtonElement) this.onGesture(target.value);
    });
    for (const dial of [this.#intensity, this.#liveliness]) {
      dial.addEventListener("input", () => showShare(dial));
    }
  }

  /** The style to ask a new session for. */
  get chosen() {
    return this.#chosen;
  }

  /**
   * Takes up what was chosen on an earlier visit.
   * @param {string | null} text as `JSON.stringify(chosen)` wrote it
   */
  restore(text) {
    this.#chosen = text === null ? {} : JSON.parse(text);
  }

  /** Forgets what was chosen: a server that refuses it must not be asked again. */
  reset() {
    this.#chosen = {};
  }

  /**
   * Lists the gestures that the server knows.
   * @param {string[]} names
   */
  list(names) {
    const items = names.map((name) => {
      const label = GESTURES[name] ?? name.replaceAll("_", " ");
      return create("li", {}, create("button", { type: "button", className: "chip", value: name }, label));
    });
    this.#gestures.replaceChildren(...items);
  }

  /**
   * Shows a style without telling anyone.
   * @param {Style} style
   */
  mark(style) {
    this.#told = style;
    if (style.emotion !== undefined) this.#emotion.value = style.emotion;
    this.#gaze.value = JSON.stringify(style.gaze ?? "viewer");
    this.#intensity.valueAsNumber = style.intensity ?? 0.6;
    this.#liveliness.valueAsNumber = style.head_motion ?? 1;
    this.#intensity.disabled = style.emotion === "neutral";
    for (const dial of [this.#intensity, this.#liveliness]) showShare(dial);
    this.#group.disabled = false;
  }

  /** @param {Style} change */
  async #choose(change) {
    const former = this.#chosen;
    this.#chosen = { ...former, ...change };
    this.#intensity.disabled = this.#emotion.value === "neutral";
    try {
      await this.onStyle(change);
    } catch {
      // whoever set `onStyle` has shown the failure already
      this.#chosen = former;
      if (this.#told !== null) this.mark(this.#told);
    }
  }
}

/**
 * Writes beside a dial where it stands.
 * @param {HTMLInputElement} dial
 */
function showShare(dial) {
  const output = dial.parentElement?.querySelector("output");
  if (output) setText(output, `${Math.round(dial.valueAsNumber * 100)} %`);
}
