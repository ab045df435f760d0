/**
 * Keeps sound and picture in step where the browser tells when it plays what (Chromium). Its own way
 * moves neither track while it believes them less than 30 ms apart, and it reckons with delays that
 * it does not measure: flashes and clicks may be 70 ms apart for a minute. This looks at what is
 * played, and has the track that is ahead wait (`jitterBufferTarget`). Elsewhere it does nothing.
 */

import { Shown } from "./shown.js";

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

/** How much later than libwebrtc tells a picture is drawn when the browser is in step, in milliseconds. */
const SEEN = 25;

/** How much longer than it was made to wait a track seems to wait, at most, in milliseconds. */
const UNSURE = 4;

/** The most that a track is made to wait, in milliseconds. */
const LONGEST_WAIT = 300;

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
    if (middle === undefined || Math.abs(middle) < CLOSE) return;
    const [ahead, behind] = middle > 0 ? [this.#picture, this.#sound] : [this.#sound, this.#picture];
    // After a stall a look may be off by seconds: more than can be waited is not waited for, either.
    const move = Math.min(SHARE * Math.abs(middle), LONGEST_WAIT);
    // Who was made to wait and is behind now is let go first, so that both never wait for nothing.
    if (!behind.shorten(move)) ahead.lengthen(move);
    this.#looks = []; // what was seen before the move says nothing of what comes after it
    this.#rest = Math.ceil(move / PACE);
  }

  /**
   * Which instant is seen: between what is told of pictures and what is drawn, as they contradict
   * each other for half a minute and neither is always right.
   * @param {Played} picture
   */
  #seen({ instant, at }) {
    const shown = this.#shown?.look(instant, at) ?? null;
    return shown === null ? instant : (instant + shown + SEEN) / 2;
  }
}

/** @typedef {{instant: number, at: number}} Played an instant of the sender's, and when; milliseconds */

/** How long one receiver keeps what it has before it is played. */
class Waiting {
  #receiver;
  #besides;

  /** What it takes to be right, of late, with what it was made to wait: in milliseconds. */
  #taken = 0;
  #count = 0;
  #sum = 0;

  /**
   * @param {RTCRtpReceiver} receiver
   * @param {number} besides what is not told of its waiting, in milliseconds
   */
  constructor(receiver, besides) {
    this.#receiver = receiver;
    this.#besides = besides;
  }

  /**
   * Which instant of the sender's time is being played.
   * @returns {Promise<Played | null>} null while nobody knows, or nothing comes
   */
  async look() {
    for (const entry of (await this.#receiver.getStats()).values()) {
      if (entry.type !== "inbound-rtp") continue;
      const count = (entry.jitterBufferEmittedCount ?? 0) - this.#count;
      const sum = (entry.jitterBufferTargetDelay ?? 0) - this.#sum;
      this.#count += count;
      this.#sum += sum;
      if (count <= 0) return null;
      this.#taken = (1000 * sum) / count + this.#besides;
      const instant = entry.estimatedPlayoutTimestamp ?? null;
      return instant === null ? null : { instant, at: entry.timestamp };
    }
    return null;
  }

  /** @param {number} milliseconds */
  lengthen(milliseconds) {
    const now = Math.max(this.#receiver.jitterBufferTarget ?? 0, this.#taken);
    this.#receiver.jitterBufferTarget = Math.min(now + milliseconds, LONGEST_WAIT);
  }

  /**
   * @param {number} milliseconds
   * @returns {boolean} whether it had been made to wait at all; no longer if something else has it
   *   wait longer, which is the browser's own synchronisation or the network
   */
  shorten(milliseconds) {
    const target = this.#receiver.jitterBufferTarget ?? null;
    if (target === null) return false;
    const isHeld = this.#taken <= target + UNSURE;
    const now = target - milliseconds;
    this.#receiver.jitterBufferTarget = isHeld && now > 0 ? now : null;
    return isHeld;
  }
}
