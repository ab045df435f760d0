/**
 * The list of voices, grouped by the engine that speaks them.
 */

import { byId, create } from "./dom.js";

/** @import { Voice } from "./protocol.js" */

/** @type {Record<string, string>} */
const ENGINES = { kokoro: "Natural (Kokoro)", piper: "Quick (Piper)", openai: "By a speech server" };

export class Voices {
  /** @type {(name: string) => Promise<void>} */
  onChoose = async () => {};

  #select = byId("voice", HTMLSelectElement);

  constructor() {
    this.#select.addEventListener("change", () => void this.onChoose(this.#select.value));
  }

  /** @returns {string | null} */
  get chosen() {
    return this.#select.disabled ? null : this.#select.value;
  }

  /**
   * Lists voices and chooses the first of `wishes` that exists.
   * @param {Voice[]} voices
   * @param {(string | null)[]} wishes names, best first
   */
  list(voices, wishes) {
    const engines = [...new Set(voices.map(({ engine }) => engine))];
    const groups = engines.map((engine) => {
      const own = voices.filter((voice) => voice.engine === engine);
      const options = own.map(({ name, label }) => create("option", { value: name }, label));
      return create("optgroup", { label: ENGINES[engine] ?? engine }, ...options);
    });
    this.#select.replaceChildren(...groups);
    this.#select.disabled = voices.length === 0;
    const names = voices.map(({ name }) => name);
    const preset = voices.find((voice) => voice.default)?.name ?? names[0] ?? null;
    const found = [...wishes, preset].find((name) => name !== null && names.includes(name));
    if (found) this.mark(found);
  }

  /**
   * Shows a voice as chosen without telling anyone.
   * @param {string} name
   */
  mark(name) {
    this.#select.value = name;
  }
}
