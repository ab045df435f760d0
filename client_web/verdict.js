/**
 * What a microphone's level means, in words: whether somebody who speaks into it will be heard.
 * Knows no element and no clock.
 */

import { QUIET, decibels } from "./level.js";

/** Speech is louder than this, in decibels relative to full scale. */
const SPEECH = -42;

/** Samples beyond this were cut off on their way. */
const FULL = 0.985;

/** So many of them in one look are no chance. */
const CUT_OFF = 4;

/** What was heard counts for so long, in milliseconds. */
const SPAN = 3_000;

/** @typedef {"waiting" | "silent" | "quiet" | "clipping" | "good" | "pause"} Judgement */

/** @type {Record<Judgement, string>} */
export const WORDS = {
  waiting: "Say something.",
  silent: "Nothing is heard. Is the microphone muted, or is another one meant?",
  quiet: "Too quiet: come nearer, or turn the microphone up in the system's settings.",
  clipping: "Too loud, clipping: move away a little, or turn the microphone down.",
  good: "You are heard well.",
  pause: "Quiet now; you were heard well.",
};

export class Verdict {
  /** @type {{now: number, level: number, isCut: boolean}[]} */
  #heard = [];
  #begin = 0;
  #isProven = false;

  /**
   * @param {Float32Array} samples
   * @param {number} now milliseconds
   * @returns {Judgement}
   */
  hear(samples, now) {
    this.#begin ||= now;
    const isCut = samples.filter((sample) => Math.abs(sample) > FULL).length >= CUT_OFF;
    this.#heard = this.#heard.filter((look) => now - look.now < SPAN);
    this.#heard.push({ now, level: decibels(samples), isCut });
    const loudest = Math.max(...this.#heard.map(({ level }) => level));
    if (this.#heard.some((look) => look.isCut)) return "clipping";
    if (loudest >= SPEECH) {
      this.#isProven = true;
      return "good";
    }
    if (this.#isProven) return "pause";
    if (now - this.#begin < SPAN) return "waiting";
    return loudest < QUIET ? "silent" : "quiet";
  }
}
