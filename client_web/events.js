/**
 * One session's WebSocket: messages both ways, and a heartbeat that measures the round trip.
 * Knows no session life cycle and no element.
 */

/** @import { ClientMessage, CloseReason, ServerMessage } from "./protocol.js" */

const HEARTBEAT = 2_000;

/** No answer for this long means that the line is dead, in milliseconds. */
const SILENCE = 12_000;

/** The WebSocket's code for a session that there is not. */
const REFUSED = 1008;

export class Events {
  /** Milliseconds of the latest round trip. @type {number | null} */
  roundTrip = null;

  /** Resolves when messages can be sent; rejects when the line does not open. @type {Promise<void>} */
  opened;

  /**
   * Resolves when the line is gone, with the reason that the server gave.
   * @type {Promise<CloseReason | null>}
   */
  ended;

  /** Resolves when it is told what was missed: with whether media is still that of this session. @type {Promise<boolean>} */
  attached;

  /** Number of the latest message, to go on after. */
  seq = 0;

  /** Whether the server said that there is no such session. */
  isRefused = false;

  #socket;
  #heard = performance.now();

  /**
   * @param {URL} address of the session's events, over HTTP
   * @param {(message: ServerMessage) => void} hear
   * @param {string | null} [token] goes as a subprotocol: a browser's WebSocket has no headers
   * @param {number} [after] number of the last message that another line brought
   */
  constructor(address, hear, token = null, after = 0) {
    const url = new URL(address);
    this.seq = after;
    url.searchParams.set("after", `${after}`);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, token === null ? [] : ["vivant", `vivant-token.${token}`]);
    this.#socket = socket;
    this.opened = new Promise((resolve, reject) => {
      socket.addEventListener("open", () => resolve());
      socket.addEventListener("close", () => reject(new Error("The event line did not open.")));
    });
    // whoever waits for `ended` only must not cause an unhandled rejection
    this.opened.catch(() => undefined);
    /** @type {(isSame: boolean) => void} */
    let attach = () => {};
    this.attached = new Promise((resolve) => (attach = resolve));
    this.ended = new Promise((resolve) => {
      /** @type {CloseReason | null} */
      let reason = null;
      socket.addEventListener("message", (event) => {
        const message = readMessage(event.data);
        if (message === null) return;
        this.seq = message.seq ?? this.seq;
        if (message.type === "session.closed") reason = message.reason;
        if (message.type === "events.attached") attach(message.lost !== null);
        this.#take(message, hear);
      });
      const beat = setInterval(() => {
        if (performance.now() - this.#heard > SILENCE) socket.close();
        this.send({ type: "ping", t: performance.now() });
      }, HEARTBEAT);
      socket.addEventListener("close", ({ code }) => {
        clearInterval(beat);
        this.isRefused = code === REFUSED;
        resolve(reason);
      });
    });
  }

  /**
   * @param {ClientMessage} message
   * @returns {boolean} whether it went out
   */
  send(message) {
    if (this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  close() {
    this.#socket.close();
  }

  /**
   * @param {ServerMessage} message
   * @param {(message: ServerMessage) => void} hear
   */
  #take(message, hear) {
    this.#heard = performance.now();
    if (message.type === "pong") this.roundTrip = performance.now() - message.t;
    else hear(message);
  }
}

/**
 * Reads one text frame. A frame that is no JSON object with a `type` gives null: a newer server
 * may say things that this page does not know.
 * @param {unknown} data
 * @returns {ServerMessage | null}
 */
export function readMessage(data) {
  if (typeof data !== "string") return null;
  /** @type {unknown} */
  let value;
  try {
    value = JSON.parse(data);
  } catch {
    return null;
  }
  const isMessage = typeof value === "object" && value !== null && "type" in value;
  return isMessage ? /** @type {ServerMessage} */ (value) : null;
}
