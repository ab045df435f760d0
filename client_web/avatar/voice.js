/**
 * The visitor's microphone, opened and closed. Knows no connection and no element.
 */

import { ApiError } from "../server.js";
import { explainDevice } from "../device_words.js";

export class Voice {
  /** Called when the microphone goes away. */
  onLost = () => {};

  /** @type {MediaStream | null} */
  #stream = null;

  get isOpen() {
    return this.#stream !== null;
  }

  /** @returns {Promise<MediaStreamTrack>} */
  async open() {
    this.close();
    /** @type {MediaStream} */
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        // the browser's canceller keeps the portrait from hearing itself
        audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
      });
    } catch (error) {
      const message = explainDevice(error, "microphone");
      throw new ApiError({ status: 0, code: "microphone", message, retryAfter: null });
    }
    const [track] = stream.getAudioTracks();
    if (track === undefined) throw new Error("getUserMedia gave no sound");
    track.addEventListener("ended", () => this.onLost());
    this.#stream = stream;
    return track;
  }

  close() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
  }
}
