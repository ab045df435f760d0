/**
 * Which instant of the sender's time a video shows. What libwebrtc tells of pictures ends where it
 * hands them over; the browser then draws them in a rhythm of its own, up to 18 ms sooner or later
 * for half a minute. When each was drawn `requestVideoFrameCallback` tells, by its RTP time.
 */

/** How many looks tell what an RTP time is by the sender's clock; one alone is off by 10 ms. */
const LOOKS = 120;

/** The fewest pictures that tell anything: five are a whole cycle of 25 a second on 60 Hz. */
const FEWEST = 6;

/** The most pictures that are remembered until the next look. */
const MOST = 50;

/**
 * How far what is drawn may be from what is told, in milliseconds. Beyond it a clock has leapt, or
 * the browser draws nothing new: not its rhythm.
 */
const FARTHEST = 100;

/** @typedef {{rtp: number, at: number}} Drawn an RTP time, and when it was drawn, in milliseconds */
/** @typedef {{rtp: number, time: number}} Anchor */

export class Shown {
  #receiver;
  #video;
  #isOver = false;

  /** @type {Drawn[]} */
  #drawn = [];

  /**
   * An RTP time with what it was believed to be by the sender's clock, in milliseconds.
   * @type {Anchor | null}
   */
  #anchor = null;

  /** By how much the anchor was off, look for look. @type {number[]} */
  #errors = [];

  /**
   * @param {RTCRtpReceiver} receiver of the pictures
   * @param {HTMLVideoElement} video
   */
  constructor(receiver, video) {
    this.#receiver = receiver;
    this.#video = video;
    if ("requestVideoFrameCallback" in video) this.#await();
  }

  end() {
    this.#isOver = true;
  }

  /**
   * @param {number} told which instant libwebrtc says is played, in milliseconds
   * @param {number} now when it says so, in milliseconds since 1970
   * @returns {number | null} which is shown; null where nobody knows, as in a tab that is not seen
   */
  look(told, now) {
    const drawn = this.#drawn.splice(0);
    const [source] = this.#receiver.getSynchronizationSources();
    if (source === undefined) return null;
    // what is told is of the picture that was handed over last, and goes on with the clock
    const time = told - (now - source.timestamp);
    const rtp = source.rtpTimestamp;
    const anchor = { rtp, time: this.#anchor === null ? time : timeOf(rtp, this.#anchor) };
    this.#anchor = anchor;
    this.#errors.push(time - anchor.time);
    if (this.#errors.length > LOOKS) this.#errors.shift();
    if (drawn.length < FEWEST) return null;
    const error = [...this.#errors].sort((a, b) => a - b)[this.#errors.length >> 1] ?? 0;
    const sum = drawn.reduce((all, { rtp, at }) => all + timeOf(rtp, anchor) - at, 0);
    const shown = error + sum / drawn.length + now - performance.timeOrigin;
    return Math.abs(shown - told) > FARTHEST ? null : shown;
  }

  #await() {
    this.#video.requestVideoFrameCallback((_, { rtpTimestamp, expectedDisplayTime }) => {
      if (this.#isOver) return;
      if (rtpTimestamp !== undefined) this.#drawn.push({ rtp: rtpTimestamp, at: expectedDisplayTime });
      if (this.#drawn.length > MOST) this.#drawn.shift();
      this.#await();
    });
  }
}

/**
 * By an anchor, across the end of 32 bits.
 * @param {number} rtp
 * @param {Anchor} anchor
 */
function timeOf(rtp, anchor) {
  return anchor.time + ((rtp - anchor.rtp) | 0) / 90;
}
