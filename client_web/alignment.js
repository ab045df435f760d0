/**
 * Keeps sound and picture in step where the browser tells when it plays what (Chromium). Its own way
 * moves neither track while it believes them less than 30 ms apart, and it reckons with delays that
 * it does not measure: flashes and clicks may be 70 ms apart for a minute. This looks at what is
 * played, and has the track that is ahead wait (`jitterBufferTarget`). Elsewhere it does nothing.
 */

import { Shown } from "./shown.js";
import { LONGEST_WAIT, Waiting } from "./waiting.js";

/** Between two looks at what is being played, in milliseconds. */
const STEP = 500;

/** Looks of which the middle one counts: one alone may fall beside a picture that was late. */
const LOOKS = 3;

/** What is let be, in milliseconds. */
const CLOSE = 4;

/** The share of what is measured that one move takes: sound is stretched slowly. */
const SHARE = 0.6;

/** How fast the browser lets a picture wait longer, in milliseconds per look. */
const PACE = 50;

/**
 * What a picture that was made to wait waits besides what the browser tells of it, in milliseconds:
 * libwebrtc takes decoding and 10 ms until it is drawn out of the delay that it was given.
 */
const DRAWN = 12;

/**
 * What counts of when a picture was drawn; the rest is when it is told to be. Flashes and clicks are
 * some 8 ms around their middle, the estimate is not: so the middle has to be the nearer of the two.
 */
const SEEN_SHARE = 0.65;

/** How much later than libwebrtc tells a picture is drawn when the browser is in step, in milliseconds. */
const SEEN = 25;

/**
 * What is left where libwebrtc itself has the track that is behind wait, in milliseconds. It believes
 * them in step then, and would push that track further with each move of the other.
 */
const LEFT = 6;

/** What both tracks must wait beyond their needs to wait less, in milliseconds: a leap of sound's. */
const SPARE = 20;

/** Whether the browser tells when it plays what, and lets a track wait; the hint is Chromium's. */
const isPossible =
  "RTCRtpReceiver" in globalThis &&
  ["jitterBufferTarget", "playoutDelayHint"].every((name) => name in RTCRtpReceiver.prototype);

export class Alignment {
  #sound;
  #picture;
  #receiver;

  /** @type {Shown | null} */
  #shown = null;

  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /** @type {number[]} */
  #looks = [];

  /** Looks until the latest move has had its effect. */
  #rest = 0;

  /**
   * @param {RTCRtpReceiver} sound
   * @param {RTCRtpReceiver} picture
   */
  constructor(sound, picture) {
    this.#sound = new Waiting(sound, 0);
    this.#picture = new Waiting(picture, DRAWN);
    this.#receiver = picture;
    if (!isPossible) return;
    this.#sound.hold();
    this.#picture.hold();
  }

  /** From now on the pictures are seen in this video. @param {HTMLVideoElement} video */
  seenIn(video) {
    this.#shown?.end();
    if (isPossible) this.#shown = new Shown(this.#receiver, video);
  }

  begin() {
    if (isPossible) this.#timer ??= setInterval(() => void this.#look(), STEP);
  }

  end() {
    clearInterval(this.#timer);
    this.#shown?.end();
  }

  async #look() {
    const [sound, picture] = await Promise.all([this.#sound.look(), this.#picture.look()]);
    const late = sound && picture && this.#seen(picture) - sound.instant;
    if (late === null || this.#rest > 0) {
      this.#looks = [];
      this.#rest = Math.max(this.#rest - 1, 0);
      return;
    }
    this.#looks.push(late);
    if (this.#looks.length < LOOKS) return;
    const middle = [...this.#looks].sort((a, b) => a - b)[LOOKS >> 1];
    this.#looks.shift();
    if (middle === undefined) return;
    if (Math.abs(middle) < CLOSE) this.#letGo();
    else this.#align(middle);
  }

  /** Has both wait less where both wait for nothing. */
  #letGo() {
    if (Math.min(this.#sound.spare, this.#picture.spare) < SPARE) return;
    for (const waiting of [this.#sound, this.#picture]) waiting.shorten(SPARE);
    this.#settle(SPARE);
  }

  /** @param {number} late how much later the sound is than the picture, in milliseconds */
  #align(late) {
    const [ahead, behind] = late > 0 ? [this.#picture, this.#sound] : [this.#sound, this.#picture];
    // After a stall a look may be off by seconds: more than can be waited is not waited for, either.
    const move = Math.min(SHARE * Math.abs(late), LONGEST_WAIT);
    // Who was made to wait and is behind now is let go first, so that both never wait for nothing.
    if (!behind.shorten(move)) {
      const left = behind.isPushed ? LEFT : 0;
      if (Math.abs(late) < left + CLOSE) return;
      ahead.lengthen(move - SHARE * left);
    }
    this.#settle(move);
  }

  /** @param {number} move that was just made, in milliseconds */
  #settle(move) {
    this.#looks = []; // what was seen before the move says nothing of what comes after it
    this.#rest = Math.ceil(move / PACE);
  }

  /**
   * Which instant is seen: between what is told of pictures and what is drawn, as they contradict
   * each other for half a minute and neither is always right.
   * @param {import("./waiting.js").Played} picture
   */
  #seen({ instant, at }) {
    const shown = this.#shown?.look(instant, at) ?? null;
    return shown === null ? instant : instant + SEEN_SHARE * (shown + SEEN - instant);
  }
}
