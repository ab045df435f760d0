/**
 * Places in a script's text. The server counts Unicode code points, lines and columns; a browser
 * counts UTF-16 units. Pure.
 */

/** @import { Script } from "../protocol.js" */

/** @typedef {{start: number, end: number, kind: "mark" | "fault" | "now"}} Range of UTF-16 units */

/** The first cue of SubRip subtitles: its number, if it has one, and its times. */
const FIRST_CUE = /^\uFEFF?\s*(?:\d+\s*\n)?\s*\d{1,3}:\d{2}:\d{2}[,.]\d{1,3}\s*-->/;

/** What a mark looks like before the server has read it. */
const MARK = /\[\/?[A-Za-z_]+(?:\s[^[\]\n]{0,80})?\]|<\/?[A-Za-z][^<>\n]{0,200}>|\*\*/g;

/**
 * Returns for each code point of a text where it begins, and at last where the text ends.
 * @param {string} text
 * @returns {number[]}
 */
export function unitsOf(text) {
  const units = [0];
  let at = 0;
  for (const letter of text) units.push((at += letter.length));
  return units;
}

/**
 * Whether a text is subtitles.
 * @param {string} text
 * @returns {boolean}
 */
export const isSubtitles = (text) => FIRST_CUE.test(text);

/**
 * What to colour in a text as it is being written: what looks like a mark.
 * @param {string} text
 * @returns {Range[]}
 */
export function marksIn(text) {
  return [...text.matchAll(MARK)]
    .filter(({ index }) => text[index - 1] !== "\\")
    .map(({ index, 0: { length } }) => ({ start: index, end: index + length, kind: "mark" }));
}

/**
 * What to colour in the text of a script that the server has read: the sentence that is heard, marks,
 * and what was not understood.
 * @param {Script} script
 * @param {number | null} now the sentence that is heard
 * @returns {Range[]}
 */
export function rangesOf(script, now) {
  const units = unitsOf(script.text);
  const at = (/** @type {number} */ place) => units[place] ?? script.text.length;
  const ranges = faultRanges(script);
  for (const { marks } of script.sentences) {
    ranges.push(...marks.map(({ start, end }) => ({ start: at(start), end: at(end), kind: /** @type {const} */ ("mark") })));
  }
  const sentence = now === null ? undefined : script.sentences[now];
  if (sentence) ranges.push({ start: at(sentence.start), end: at(sentence.end), kind: "now" });
  return ranges.filter(({ start, end }) => end > start);
}

/**
 * Cuts a text where ranges begin and end.
 * @param {string} text
 * @param {Range[]} ranges they may overlap
 * @returns {{words: string, kinds: Range["kind"][]}[]} in order, with the kinds of the ranges around each
 */
export function pieceUp(text, ranges) {
  const edges = ranges.flatMap(({ start, end, kind }) => [
    { place: Math.min(start, text.length), kind, step: 1 },
    { place: Math.min(end, text.length), kind, step: -1 },
  ]);
  edges.sort((one, other) => one.place - other.place);
  const depth = { mark: 0, fault: 0, now: 0 };
  const names = /** @type {Range["kind"][]} */ (Object.keys(depth));
  /** @type {{words: string, kinds: Range["kind"][]}[]} */
  const pieces = [];
  let from = 0;
  for (const { place, kind, step } of [...edges, { place: text.length, kind: names[0] ?? "mark", step: 0 }]) {
    const kinds = names.filter((name) => depth[name] > 0);
    if (place > from) pieces.push({ words: text.slice(from, place), kinds });
    from = place;
    depth[kind] += step;
  }
  return pieces;
}

/**
 * What each warning of a script points to.
 * @param {Script} script
 * @returns {Range[]} one for each warning
 */
export function faultRanges({ text, warnings }) {
  const lines = text.split("\n");
  /** @type {number[]} */
  const starts = [];
  let start = 0;
  for (const line of lines) {
    starts.push(start);
    start += line.length + 1;
  }
  return warnings.map(({ line, column }) => {
    const units = unitsOf(lines[line - 1] ?? "");
    const from = (starts[line - 1] ?? text.length) + (units[column - 1] ?? 0);
    return { start: from, end: faultEnd(text, from), kind: "fault" };
  });
}

/**
 * Which sentence a place in the text belongs to: the one it is in, or the next one.
 * @param {Script} script
 * @param {number} place UTF-16 units
 * @returns {number | null} null after the last one
 */
export function sentenceAt(script, place) {
  const units = unitsOf(script.text);
  const found = script.sentences.findIndex(({ end }) => (units[end] ?? 0) >= place);
  return found < 0 ? null : found;
}

/**
 * What is wrong goes up to the closing bracket, or to the end of the word.
 * @param {string} text
 * @param {number} start
 * @returns {number}
 */
function faultEnd(text, start) {
  const rest = text.slice(start, start + 200);
  const found = /^\[[^[\]\n]*\]|^<[^<>\n]*>|^\S+/.exec(rest);
  return start + (found?.[0].length ?? 1);
}
