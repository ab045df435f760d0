/**
 * How long one receiver keeps sound or pictures until they are played: long enough for a stall, and as
 * long as it lately had to, for each change is a leap that is heard and seen.
 */

/**
 * How long a track waits at least, in milliseconds. Chromium's sound would go down to 40, run dry at
 * the first stall of a processor, and for half a minute wait 60, 80 and again 40: each a leap that is
 * heard and seen before it can be made good.
 */
const SHORTEST_WAIT = 80;

/** The most that a track is made to wait, in milliseconds. */
export const LONGEST_WAIT = 300;

/** Looks for which a track goes on waiting what it once had to: a minute. */
const REMEMBERED = 120;

/** The most that it goes on waiting, in milliseconds: after a stall that was longer it recovers. */
const MOST_REMEMBERED = 120;

/** How much longer than it was made to wait a track seems to wait, at most, in milliseconds. */
const UNSURE = 4;

/** @typedef {{instant: number, at: number}} Played an instant of the sender's, and when; milliseconds */

/** How long one receiver keeps what it has before it is played. */
export class Waiting {
  #receiver;
  #besides;

  /** What it was made to wait, in milliseconds. */
  #target;

  /** What it takes to be right, of late, with what it was made to wait: in milliseconds. */
  #taken = 0;
  #count = 0;
  #sum = 0;

  /** What it took without having been made to wait, in milliseconds, look for look. @type {number[]} */
  #needs = [];
  #needed = 0;

  /**
   * @param {RTCRtpReceiver} receiver
   * @param {number} besides what is not told of its waiting, in milliseconds
   */
  constructor(receiver, besides) {
    this.#receiver = receiver;
    this.#besides = besides;
    this.#target = this.#least;
  }

  /** Has it wait what it was made to wait, from its first packet on. */
  hold() {
    this.#receiver.jitterBufferTarget = this.#target;
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
      const needed = (entry.jitterBufferMinimumDelay ?? 0) - this.#needed;
      this.#count += count;
      this.#sum += sum;
      this.#needed += needed;
      if (count <= 0) return null;
      this.#taken = (1000 * sum) / count + this.#besides;
      this.#needs.push((1000 * needed) / count + this.#besides);
      if (this.#needs.length > REMEMBERED) this.#needs.shift();
      if (this.#target < this.#least) this.#wait(this.#least);
      const instant = entry.estimatedPlayoutTimestamp ?? null;
      return instant === null ? null : { instant, at: entry.timestamp };
    }
    return null;
  }

  /** Whether it is libwebrtc's synchronisation that has it wait. */
  get isPushed() {
    return this.#taken > Math.max(this.#target, this.#needs.at(-1) ?? 0) + UNSURE;
  }

  /** What it waits beyond what it had to wait of late, in milliseconds. */
  get spare() {
    return this.#target - this.#least;
  }

  /** @param {number} milliseconds */
  lengthen(milliseconds) {
    this.#wait(Math.max(this.#target, this.#taken) + milliseconds);
  }

  /**
   * @param {number} milliseconds
   * @returns {boolean} whether it waits less; not if it waits as little as it may, or if something
   *   else has it wait, which is the browser's own synchronisation
   */
  shorten(milliseconds) {
    const isHeld = this.#taken <= this.#target + UNSURE && this.spare > 0;
    this.#wait(isHeld ? this.#target - milliseconds : this.#least);
    return isHeld;
  }

  get #least() {
    const remembered = Math.min(Math.max(0, ...this.#needs), MOST_REMEMBERED);
    const needed = Math.max(SHORTEST_WAIT + this.#besides, remembered, this.#needs.at(-1) ?? 0);
    return Math.min(needed, LONGEST_WAIT);
  }

  /** @param {number} milliseconds */
  #wait(milliseconds) {
    const before = this.#target;
    this.#target = Math.min(Math.max(milliseconds, this.#least), LONGEST_WAIT);
    if (this.#target !== before) this.hold();
  }
}
