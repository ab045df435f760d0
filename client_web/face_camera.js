/**
 * The visitor's camera and the face in it: opens the chosen one, shows it as a mirror, follows the
 * face, goes on with another camera when it is unplugged. Knows no connection.
 */

import { openDevice } from "./devices.js";
import { FaceTracker } from "./face_tracker.js";
import { Mirror } from "./mirror.js";
import { notify } from "./notices.js";

/** @import { Face } from "./face_tracker.js" */

const WISHES = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };

export class FaceCamera {
  /** @type {(face: Face) => void} */
  onFace = () => {};

  /** Called when a face comes into sight, and when it is lost. @type {(isSeen: boolean) => void} */
  onSight = () => {};

  /** Called when it ended by itself, with the reason. @type {(error: unknown) => void} */
  onEnd = () => {};

  #mirror = new Mirror();
  /** @type {FaceTracker | null} */
  #tracker = null;
  /** @type {MediaStreamTrack | null} */
  #track = null;

  get isOpen() {
    return this.#track !== null;
  }

  /** Faces in the last second. */
  get rate() {
    return this.#tracker?.rate ?? 0;
  }

  /**
   * Opens it, or opens it again, as what was chosen has changed.
   * @throws MissingTrackerError, BrokenTrackerError, and what getUserMedia throws
   */
  async open() {
    const tracker = (this.#tracker ??= await this.#load());
    this.close();
    const { stream, track, missing } = await openDevice("videoinput", WISHES);
    if (missing !== null) notify(`“${missing}” is not connected: “${track.label}” is used instead.`);
    track.addEventListener("ended", () => void this.#onUnplugged(track));
    this.#track = track;
    this.#mirror.show(stream);
    await tracker.start(stream);
  }

  close() {
    this.#tracker?.stop();
    this.#track?.stop();
    this.#track = null;
    this.#mirror.show(null);
  }

  /** @returns {Promise<FaceTracker>} */
  async #load() {
    const tracker = await FaceTracker.load();
    tracker.onFace = (face) => {
      this.#mirror.draw(face, tracker.rate);
      if (face !== null) this.onFace(face);
    };
    tracker.onSight = (isSeen) => {
      this.#mirror.mark(isSeen);
      this.onSight(isSeen);
    };
    tracker.onFault = (error) => {
      this.close();
      this.onEnd(error);
    };
    return tracker;
  }

  /** @param {MediaStreamTrack} track */
  async #onUnplugged(track) {
    if (this.#track !== track) return;
    try {
      await this.open();
      notify(`“${track.label}” went away: another camera is used instead.`, { isFault: true });
    } catch (error) {
      this.close();
      this.onEnd(error);
    }
  }
}
