/**
 * Which words are shown, and when: the server names a clause when it begins to sound; a long one
 * is shown in parts, at the pace of speech. Knows no element.
 */

/** Characters shown at once: two lines, three on a phone. */
const LONGEST = 84;

/** Characters spoken per second; the next clause puts right what this estimate gets wrong. */
const PACE = 17;

/** Milliseconds that the last words stay after the speech. */
const STAY = 2_500;

export class CaptionLine {
  #show;
  /** @type {number | null} */
  #utterance = null;
  #text = "";
  #timer = 0;

  /** @param {(text: string) => void} show called with the words to show; "" for none */
  constructor(show) {
    this.#show = show;
  }

  /**
   * @param {number} utterance
   * @param {string} text what is being said from now on
   */
  add(utterance, text) {
    const [first = "", ...rest] = parts(text);
    const before = utterance === this.#utterance ? this.#text : "";
    const together = join(before, first);
    this.#utterance = utterance;
    this.#put(together.length <= LONGEST ? together : first);
    this.#turn(first, rest);
  }

  /** Lets the last words go: soon after the speech, at once when it was cut off. */
  end({ isInterrupted = false } = {}) {
    clearTimeout(this.#timer);
    if (isInterrupted) this.clear();
    else this.#timer = setTimeout(() => this.clear(), STAY);
  }

  clear() {
    clearTimeout(this.#timer);
    this.#utterance = null;
    this.#put("");
  }

  /**
   * Shows the parts that follow, each when the one before it should have been said.
   * @param {string} shown
   * @param {string[]} following
   */
  #turn(shown, [next, ...rest]) {
    clearTimeout(this.#timer);
    if (next === undefined) return;
    const turn = () => {
      this.#put(next);
      this.#turn(next, rest);
    };
    this.#timer = setTimeout(turn, (shown.length / PACE) * 1000);
  }

  /** @param {string} text */
  #put(text) {
    this.#text = text;
    this.#show(text);
  }
}

/**
 * Joins two pieces of text, with a space where both sides forgot it.
 * @param {string} before
 * @param {string} after
 * @returns {string}
 */
export function join(before, after) {
  const isGlued = /[\p{L}\p{N}\p{P}]$/u.test(before) && /^[\p{L}\p{N}\p{P}]/u.test(after);
  const isScriptWithoutSpaces = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(after);
  return isGlued && !isScriptWithoutSpaces ? `${before} ${after}` : before + after;
}

/**
 * Cuts a text between words into parts of about the same length, none above the longest.
 * @param {string} text
 * @returns {string[]}
 */
export function parts(text) {
  const words = text.trim().split(/\s+/);
  const count = Math.ceil(text.trim().length / LONGEST);
  const wanted = Math.max(text.trim().length / count, 1);
  /** @type {string[]} */
  const found = [];
  for (const word of words) {
    const last = found.at(-1);
    const longer = `${last} ${word}`;
    const fits = last !== undefined && last.length < wanted && longer.length <= LONGEST;
    if (fits) found[found.length - 1] = longer;
    else found.push(word);
  }
  return found;
}
