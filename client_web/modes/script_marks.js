/**
 * The marks of a script, explained; a press puts one where the visitor writes.
 */

import { create } from "../dom.js";

/** @import { Info } from "../protocol.js" */

/**
 * Lists the marks that a server knows.
 * @param {HTMLElement} list
 * @param {Info | null} info
 * @param {(mark: string) => void} insert
 */
export function listMarks(list, info, insert) {
  const moods = (info?.emotions ?? []).map((name) => `[${name}]`);
  const gestures = (info?.gestures ?? []).map((name) => `[${name}]`);
  /** @type {[string, string[]][]} */
  const groups = [
    ["The face shows it from here on; [sad 0.5] at half its strength", moods],
    ["A gesture here; [smile 1.5] is a larger one", gestures],
    ["Silence, of half a second or as long as it says", ["[pause]", "[pause 600ms]", "[pause 2s]"]],
    ["Stress", ["**very**", "[emphasis]very[/emphasis]"]],
    ["Where the eyes look from here on", ["[gaze away]", "[gaze viewer]", "[gaze -10,5]"]],
    ["Who speaks from here on", ["[voice default]"]],
  ];
  const shown = groups.filter(([, marks]) => marks.length > 0);
  list.replaceChildren(...shown.map(([words, marks]) => row(words, marks)));
  list.addEventListener("click", ({ target }) => {
    if (target instanceof HTMLButtonElement) insert(target.value);
  });
}

/**
 * @param {string} words
 * @param {string[]} marks
 * @returns {HTMLDivElement}
 */
function row(words, marks) {
  const items = marks.map((mark) => {
    const button = create("button", { type: "button", className: "chip", value: mark }, mark);
    return create("li", {}, button);
  });
  const chips = create("ul", { className: "chips" }, ...items);
  return create("div", {}, create("dt", {}, words), create("dd", {}, chips));
}
