/**
 * Keeps what a portrait said before it was cut off from being heard out of the browser's own store
 * of sound, which holds a few hundredths of a second on a good network and more than half a second
 * after a bad moment. Knows one receiver of sound and nothing of sessions.
 */

import { wait } from "./retry.js";

/** Sound's RTP time stamps per millisecond. */
const TICKS = 48;

/** Between two looks at what is being played, in milliseconds. */
const STEP = 20;

/** Sound that may still be on its way when the word of the interruption is there, in milliseconds. */
const UNDERWAY = 40;

/** The longest silence, in milliseconds: no answer and no sound may come any more. */
const LONGEST = 3_000;

export class Hush {
  #receiver;
  #round = 0;

  /** @param {RTCRtpReceiver} receiver */
  constructor(receiver) {
    this.#receiver = receiver;
  }

  /** Is silent at once, until the server has said where it cut, or for a while if it never does. */
  async hold() {
    const round = this.#mute();
    await wait(LONGEST);
    this.#end(round);
  }

  /** Is silent at once, until all sound that has been received by now is over. */
  async begin() {
    const round = this.#mute();
    const first = this.played;
    const end = performance.now() + LONGEST;
    const before = await this.#emitted();
    let isOver = false;
    while (!isOver && round === this.#round && performance.now() < end) {
      await wait(STEP);
      const held = storedFor(await this.#emitted(), before);
      const passed = (((this.played ?? 0) - (first ?? 0)) >>> 0) / TICKS;
      isOver = held !== null && passed > held + UNDERWAY;
    }
    this.#end(round);
  }

  /** @returns {number} what to end it by; whatever begins later ends it instead */
  #mute() {
    this.#receiver.track.enabled = false;
    return ++this.#round;
  }

  /** @param {number} round */
  #end(round) {
    if (round === this.#round) this.#receiver.track.enabled = true;
  }

  /** The RTP time stamp of what is being played; undefined while nothing is. @returns {number | undefined} */
  get played() {
    return this.#receiver.getSynchronizationSources()[0]?.rtpTimestamp;
  }

  /** @returns {Promise<Emitted>} */
  async #emitted() {
    for (const entry of (await this.#receiver.getStats()).values()) {
      if (entry.type === "inbound-rtp") {
        return { samples: entry.jitterBufferEmittedCount ?? 0, seconds: entry.jitterBufferDelay ?? 0 };
      }
    }
    return { samples: 0, seconds: 0 };
  }
}

/**
 * What has left the store of sound, and how long all of it together had been there.
 * @typedef {{samples: number, seconds: number}} Emitted
 */

/**
 * How long the sound that left between two looks had been stored, in milliseconds.
 * @param {Emitted} now
 * @param {Emitted} before
 * @returns {number | null} null when none has left
 */
function storedFor(now, before) {
  const samples = now.samples - before.samples;
  return samples > 0 ? ((now.seconds - before.seconds) / samples) * 1000 : null;
}
