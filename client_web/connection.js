/**
 * The life of the connection: open a session, come back to it when the network breaks, and open
 * another when it has gone, with longer and longer pauses. Knows REST, events and peer; knows no
 * element.
 */

import { retryDelay, wait } from "./retry.js";
import { ApiError, Server } from "./server.js";
import { explain } from "./words.js";

/** @import { Events } from "./events.js" */
/** @import { Peer } from "./peer.js" */
/** @import { Method } from "./server.js" */
/** @import { Choice, ClientMessage, CloseReason, MicrophoneUse, ServerMessage, Session } from "./protocol.js" */

/**
 * @typedef {{name: "connecting"}
 *   | {name: "queued", position: number, seconds: number | null}
 *   | {name: "live", stream: MediaStream}
 *   | {name: "waiting", message: string, code: string | null, seconds: number}
 *   | {name: "closed", message: string, code: string | null}} Phase
 */

/**
 * @typedef {object} Listener
 * @property {() => Promise<Choice>} prepare readies what a session needs and says which one to open
 * @property {(phase: Phase) => void} onPhase
 * @property {(message: ServerMessage) => void} onMessage
 */

/**
 * @typedef {object} Wishes
 * @property {boolean} [channel] whether `sendLossy` is to be used
 * @property {Server} [server] where sessions are; that of the page if not given
 * @property {string} [join] a session that somebody else opened: it is entered as a guest and never ended
 */

/** What there is to know of a session; of one that was joined, little. @typedef {Pick<Session, "session_id" | "ice_servers"> & Partial<Session>} Entry */

/** How long media may take to flow after the session was given, in milliseconds. */
const OPENING = 15_000;

/** The longest pause before a session is come back to that is there, in seconds. */
const SOON = 0.1;

/** @type {Record<CloseReason, string>} */
const GOODBYE = {
  client: "The session was ended.",
  idle: "The portrait went to rest after a while without anyone speaking.",
  time: "The longest time for one visit is over.",
  lost: "The connection was lost for too long.",
  revoked: "The key behind this session is valid no more.",
  shutdown: "The server is restarting.",
  failed: "The session broke off on the server.",
};

export class Connection {
  #listener;
  /** @type {string | null} */
  #sessionId = null;
  /** The latest session that was given. @type {Entry | null} */
  #given = null;
  /** The session that a lost connection may come back to. @type {Entry | null} */
  #lost = null;
  /** @type {Events | null} */
  #events = null;
  /** @type {Peer | null} */
  #peer = null;
  /** @type {MediaStreamTrack | null} */
  #microphone = null;
  /** @type {MicrophoneUse} */
  #microphoneUse = "puppet";
  #isRunning = false;
  /** Ends the pause between two attempts. */
  #wake = () => {};

  #wishes;
  #server;

  /**
   * @param {Listener} listener
   * @param {Wishes} [wishes]
   */
  constructor(listener, wishes = {}) {
    this.#listener = listener;
    this.#wishes = wishes;
    this.#server = wishes.server ?? new Server(document.baseURI);
  }

  /** Milliseconds of the latest round trip, null when not connected. */
  get roundTrip() {
    return this.#events?.roundTrip ?? null;
  }

  /** The session that is open: its id, and the token that speaks for it. @returns {Entry | null} */
  get session() {
    return this.#sessionId === null ? null : this.#given;
  }

  /** @returns {Promise<RTCStatsReport | null>} */
  async stats() {
    return (await this.#peer?.stats()) ?? null;
  }

  /** Connects, and keeps connecting until `stop`. */
  start() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#run();
  }

  /** Gives the session back for good, also while the page closes. */
  stop() {
    this.#isRunning = false;
    this.#wake();
    this.#sessionId ??= this.#lost?.session_id ?? null;
    this.#lost = null;
    void this.#tearDown();
  }

  /** Tries again now instead of later. */
  retry() {
    this.#wake();
  }

  /**
   * @param {ClientMessage} message
   * @returns {boolean} whether it went out
   */
  send(message) {
    return this.#events?.send(message) ?? false;
  }

  /** Says where the stream is seen, for sound and picture to be in step there. @param {HTMLVideoElement} video */
  seenIn(video) {
    this.#peer?.seenIn(video);
  }

  /** Cuts the portrait off: here at once, and on the server. */
  interrupt() {
    if (this.send({ type: "interrupt" })) this.#peer?.mute();
  }

  /**
   * Sends what is of use at once or not at all, such as a frame of motion.
   * @param {ClientMessage} message
   * @returns {boolean} whether it went out
   */
  sendLossy(message) {
    return this.#peer?.sendLossy(JSON.stringify(message)) ?? false;
  }

  /**
   * Changes portrait, voice or background while running; without a session there is nothing to change.
   * @param {Choice} choice
   */
  async update(choice) {
    if (this.#sessionId !== null) await this.#server.updateSession(this.#sessionId, choice);
  }

  /**
   * Asks for something of the session over REST, such as `request("PUT", "brain", {brain: "demo"})`.
   * Throws an ApiError where the server refuses, and where there is no session.
   * @param {Method} method
   * @param {string} path below the session's own
   * @param {object} [body] FormData goes as it is, anything else as JSON
   * @param {number} [patience] milliseconds, where it takes longer than is usual
   * @returns {Promise<any>} null where the answer has no content
   */
  async request(method, path, body, patience) {
    if (this.#sessionId === null) {
      const message = "There is no connection to the portrait just now.";
      throw new ApiError({ status: 0, code: "not_connected", message, retryAfter: null });
    }
    const whole = body === undefined || body instanceof FormData ? body : JSON.stringify(body);
    return this.#server.request(method, `v1/sessions/${this.#sessionId}/${path}`, whole, patience);
  }

  /**
   * Sends the voice on this track, or ends that. Outlives a reconnection.
   * @param {MediaStreamTrack | null} track
   */
  async setMicrophone(track) {
    this.#microphone = track;
    await this.#peer?.setMicrophone(track);
    this.#tellMicrophone();
  }

  /**
   * Says what the visitor's voice is for: `puppet`, the portrait says what it says; `listen`, the
   * portrait hears it. Holds until changed, also after a reconnection.
   * @param {MicrophoneUse} use
   */
  useMicrophone(use) {
    this.#microphoneUse = use;
    if (this.#microphone !== null) this.#tellMicrophone();
  }

  #tellMicrophone() {
    this.send({ type: "microphone", mode: this.#microphone === null ? "off" : this.#microphoneUse });
  }

  async #run() {
    let attempt = 0;
    const isLive = () => {
      attempt = 0;
    };
    while (this.#isRunning) {
      this.#listener.onPhase({ name: "connecting" });
      const pause = await this.#session(isLive).catch((error) => pauseAfter(error));
      await this.#tearDown();
      if (!this.#isRunning) return;
      attempt += 1;
      await this.#rest(pause, attempt);
    }
  }

  /**
   * Lives through one session and says why it ended.
   * @param {() => void} isLive
   * @returns {Promise<Pause>}
   */
  async #session(isLive) {
    const [choice, { Events }, { Peer }] = await Promise.all([
      this.#listener.prepare(),
      import("./events.js"),
      import("./peer.js"),
    ]);
    const session = await this.#enter(choice);
    this.#sessionId = session.session_id;
    this.#given = session;
    if (!this.#isRunning) return pauseFor("client", "");
    /** @type {() => void} */
    let enter = () => {};
    /** @type {Promise<void>} */
    const entered = new Promise((resolve) => (enter = resolve));
    /** @param {ServerMessage} message */
    const hear = (message) => {
      if (message.type === "session.ready") enter();
      if (message.type === "session.queued") this.#wait(message.position, message.wait_s);
      // by a voice, or by somebody else: what is stored here was said before
      if (message.type === "agent.speak_ended" && message.interrupted) this.#peer?.hush();
      this.#listener.onMessage(message);
    };
    const address = this.#server.address(`v1/sessions/${session.session_id}/events`);
    const attach = () => (this.#events = new Events(address, hear, this.#server.token, this.#events?.seq));
    const events = attach();
    if (session.position !== undefined) {
      this.#wait(session.position, session.wait_s ?? null);
      const isIn = await Promise.race([entered.then(() => true), events.ended.then(() => false)]);
      if (!isIn) return this.#leave(session, await events.ended);
      this.#listener.onPhase({ name: "connecting" });
    }
    const peer = new Peer(session.ice_servers, this.#wishes);
    this.#peer = peer;
    const ended = Promise.race([events.ended, peer.ended.then(() => null)]);
    const opened = this.#open(events, peer, session).then(() => true);
    const isOpen = await Promise.race([opened, ended.then(() => false), wait(OPENING).then(() => false)]);
    if (isOpen) {
      isLive();
      const isOpen = () => this.#given === session && this.#peer === peer;
      void import("./renewal.js").then(({ renew }) => renew(this.#server, session, isOpen));
      this.#listener.onPhase({ name: "live", stream: peer.stream });
      return this.#stay(session, events, peer, attach);
    }
    return pauseFor(null, "The picture did not arrive. A firewall may be in the way.");
  }

  /**
   * Lives on while media goes on: events that break off are taken up again.
   * @param {Entry} session
   * @param {Events} events
   * @param {Peer} peer
   * @param {() => Events} attach
   * @returns {Promise<Pause>}
   */
  async #stay(session, events, peer, attach) {
    let hasMedia = true;
    const over = peer.ended.then(() => {
      hasMedia = false;
      return null;
    });
    const isWanted = () => this.#isRunning && hasMedia;
    for (;;) {
      const end = await Promise.race([events.ended, over]);
      if (end !== null || !isWanted()) return this.#leave(session, end);
      const { reattach } = await import("./reattach.js");
      const next = await reattach(attach, peer, isWanted);
      if (next === null || next === "moved") return { ...this.#leave(session, null), isSoon: next === "moved" };
      events = next;
    }
  }

  /**
   * Comes back to the session that was lost, or opens one.
   * @param {Choice} choice
   * @returns {Promise<Entry>}
   */
  async #enter(choice) {
    const { join } = this.#wishes;
    if (join !== undefined) {
      const { ice_servers } = await this.#server.getInfo();
      return { session_id: join, ice_servers };
    }
    const lost = this.#lost;
    if (lost?.token !== undefined) {
      try {
        return await this.#server.resumeSession(lost.session_id, lost.token);
      } catch (error) {
        // while the server cannot be reached, the session may still be there
        // or, of several machines, none has room for it just now
        if (!(error instanceof ApiError) || error.status === 503) throw error;
        this.#lost = null;
      }
    }
    return this.#server.createSession(choice);
  }

  /**
   * Notes that a session is left, and how: what the server has ended needs no giving back, and
   * what was lost may be found again.
   * @param {Entry} session
   * @param {CloseReason | null} reason
   * @returns {Pause}
   */
  #leave(session, reason) {
    this.#sessionId = null;
    this.#lost = reason === null ? session : null;
    return pauseFor(reason, "The connection was lost.");
  }

  /**
   * @param {number} position
   * @param {number | null} seconds
   */
  #wait(position, seconds) {
    if (position > 0) this.#listener.onPhase({ name: "queued", position, seconds });
  }

  /**
   * @param {Events} events
   * @param {Peer} peer
   * @param {Entry} session
   */
  async #open(events, peer, session) {
    await Promise.all([events.opened, peer.open((sdp) => this.#server.sendOffer(session, sdp))]);
    if (this.#microphone !== null) await this.setMicrophone(this.#microphone);
  }

  /**
   * Waits before the next attempt: for a time, or for the visitor.
   * @param {Pause} pause
   * @param {number} attempt
   */
  async #rest(pause, attempt) {
    /** @type {Promise<void>} */
    const woken = new Promise((resolve) => {
      this.#wake = resolve;
    });
    if (pause.untilAsked) {
      this.#listener.onPhase({ name: "closed", message: pause.message, code: pause.code });
      await woken;
      return;
    }
    const seconds = pause.isSoon ? SOON * (1 - Math.random() / 2) : retryDelay(attempt, pause);
    const { message, code } = pause;
    this.#listener.onPhase({ name: "waiting", message, code, seconds });
    await Promise.race([woken, wait(seconds * 1000)]);
  }

  async #tearDown() {
    const sessionId = this.#sessionId;
    this.#events?.close();
    this.#peer?.close();
    this.#events = this.#peer = this.#sessionId = null;
    // the server ends forgotten sessions by itself, so an unreachable one is no loss
    if (sessionId === this.#wishes.join) return;
    if (sessionId !== null) await this.#server.deleteSession(sessionId).catch(() => undefined);
  }
}

/**
 * @typedef {object} Pause
 * @property {string} message
 * @property {string | null} code
 * @property {number | null} retryAfter seconds
 * @property {boolean} untilAsked whether only the visitor ends it
 * @property {boolean} isSoon whether the session is known to be there, on another machine
 */

/**
 * @param {CloseReason | null} reason
 * @param {string} otherwise
 * @returns {Pause}
 */
function pauseFor(reason, otherwise) {
  const message = reason === null ? otherwise : GOODBYE[reason];
  const untilAsked = reason === "idle" || reason === "client" || reason === "time";
  return { message, code: reason, retryAfter: null, untilAsked, isSoon: false };
}

/**
 * @param {unknown} error
 * @returns {Pause}
 */
function pauseAfter(error) {
  const refusal = error instanceof ApiError ? error : null;
  return {
    message: explain(error),
    code: refusal?.code ?? null,
    retryAfter: refusal?.retryAfter ?? null,
    untilAsked: refusal?.code === "unauthorized",
    isSoon: false,
  };
}
