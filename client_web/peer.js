/**
 * One WebRTC peer: the portrait's picture and sound in, the microphone out. Knows no session
 * and no element but that in which it is seen.
 */

import { Alignment } from "./alignment.js";
import { Hush } from "./hush.js";
import { wait } from "./retry.js";

/** How long to gather network candidates before offering with what there is, in milliseconds. */
const GATHERING = 2_000;

/** How long a broken network path may take to heal, in milliseconds. */
const HEALING = 5_000;

/** Bytes that may wait to be sent before messages that may be lost are left out. */
const LARGEST_BACKLOG = 16_384;

export class Peer {
  /** The portrait: one stream with both tracks. */
  stream = new MediaStream();

  #connection;
  #alignment;
  #hush;
  #microphone;

  /**
   * Resolves when this peer is over.
   * @type {Promise<void>}
   */
  ended;

  /** @type {RTCDataChannel | null} */
  #channel = null;

  /**
   * @param {RTCIceServer[]} iceServers
   * @param {{channel?: boolean}} [wishes] whether messages are to be sent here, too
   */
  constructor(iceServers, { channel = false } = {}) {
    this.#connection = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    // sendrecv from the start: the microphone can join later without a second offer
    const audio = this.#connection.addTransceiver("audio", { direction: "sendrecv" });
    const video = this.#connection.addTransceiver("video", { direction: "recvonly" });
    this.#microphone = audio.sender;
    if (channel) {
      // what is late is of no use: the next one is on its way
      const manner = { ordered: false, maxRetransmits: 0 };
      this.#channel = this.#connection.createDataChannel("events", manner);
    }
    this.#alignment = new Alignment(audio.receiver, video.receiver);
    this.#hush = new Hush(audio.receiver);
    this.#connection.addEventListener("track", ({ track }) => this.stream.addTrack(track));
    this.ended = new Promise((resolve) => this.#watch(resolve));
  }

  /**
   * Makes the offer, hands it over, takes the answer and waits until media can flow.
   * @param {(sdp: string) => Promise<RTCSessionDescriptionInit>} exchange
   */
  async open(exchange) {
    const connection = this.#connection;
    await connection.setLocalDescription(await connection.createOffer());
    await Promise.race([this.#gathered(), wait(GATHERING)]);
    const answer = await exchange(openEnded(connection.localDescription?.sdp ?? ""));
    await connection.setRemoteDescription(answer);
    await this.#connected();
    this.#alignment.begin();
  }

  /** Says where the stream is seen, for sound and picture to be in step there. @param {HTMLVideoElement} video */
  seenIn(video) {
    this.#alignment.seenIn(video);
  }

  /**
   * Sends this track, or nothing.
   * @param {MediaStreamTrack | null} track
   */
  async setMicrophone(track) {
    await this.#microphone.replaceTrack(track);
  }

  /** Lets nothing be heard until `hush`, which follows when the server has cut the sound off. */
  mute() {
    void this.#hush.hold();
  }

  /** Lets nothing be heard any more of the sound that has come by now. */
  hush() {
    void this.#hush.begin();
  }

  /**
   * Sends a message that may be lost on the way.
   * @param {string} message
   * @returns {boolean} whether it went out
   */
  sendLossy(message) {
    if (this.#channel?.readyState !== "open" || this.#channel.bufferedAmount > LARGEST_BACKLOG) {
      return false;
    }
    this.#channel.send(message);
    return true;
  }

  /** RTP time of the sound that is heard just now; it stands still when media does. @returns {number | undefined} */
  get soundTime() {
    return this.#hush.played;
  }

  /** @returns {Promise<RTCStatsReport>} */
  stats() {
    return this.#connection.getStats();
  }

  close() {
    this.#alignment.end();
    this.#connection.close();
  }

  /** @param {() => void} end */
  #watch(end) {
    const connection = this.#connection;
    let healing = 0;
    connection.addEventListener("connectionstatechange", () => {
      clearTimeout(healing);
      const state = connection.connectionState;
      if (state === "failed" || state === "closed") end();
      if (state === "disconnected") healing = setTimeout(end, HEALING);
    });
  }

  /** @returns {Promise<void>} */
  #gathered() {
    const connection = this.#connection;
    return new Promise((resolve) => {
      const check = () => connection.iceGatheringState === "complete" && resolve();
      connection.addEventListener("icegatheringstatechange", check);
      check();
    });
  }

  /** @returns {Promise<void>} */
  #connected() {
    const connection = this.#connection;
    return new Promise((resolve) => {
      const check = () => connection.connectionState === "connected" && resolve();
      connection.addEventListener("connectionstatechange", check);
      check();
    });
  }
}

/**
 * Leaves the list of candidates open. Browsers hide their addresses behind .local names; a server
 * that cannot resolve them would see that the list has ended with nothing in it and give up,
 * instead of waiting for the browser's own checks to arrive. Firefox ends the list, Chromium never.
 * @param {string} sdp
 * @returns {string}
 */
function openEnded(sdp) {
  return sdp.replaceAll("a=end-of-candidates\r\n", "");
}
