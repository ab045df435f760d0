/**
 * `<vivant-avatar>`: a portrait that speaks, in any page. Attributes say what it is, methods what it
 * does, events what happens; docs/embed.md has all of them. Taken out of the page, it gives its
 * session up.
 */

import { Connection } from "../connection.js";
import { ApiError, Server } from "../server.js";
import { explain, explainWait } from "../words.js";
import { AvatarAttributes } from "./attributes.js";
import { readPlace } from "./place.js";
import { Surface } from "./surface.js";
import { EVENTS } from "./vocabulary.js";
import { Voice } from "./voice.js";

/** @import { Phase } from "../connection.js" */
/** @import { Choice, ClientMessage, ServerMessage, SpeechState, Style } from "../protocol.js" */

/** @typedef {"idle" | Phase["name"]} PhaseName */

/** Where the module came from: the server, if it was not copied elsewhere. */
const ORIGIN = new URL("..", import.meta.url).href;

export class VivantAvatar extends AvatarAttributes {
  static observedAttributes = [
    ...["session-url", "mode", "portrait", "voice", "background", "muted", "captions"],
  ];

  #surface = new Surface(this.attachShadow({ mode: "open" }));
  #internals = this.attachInternals();
  #voice = new Voice();
  /** @type {Connection | null} */
  #connection = null;
  /** @type {PhaseName} */
  #phase = "idle";
  /** @type {SpeechState} */
  #state = "idle";
  #isResting = false;
  /** Those who wait for it to be live. @type {{resolve: () => void, reject: (error: unknown) => void}[]} */
  #waiting = [];
  /** What proves to the server that we may; no attribute, so that it stays out of the document. @type {string | null} */
  #token = null;
  #onLeave = () => this.#connection?.stop();
  /** @param {PageTransitionEvent} event */
  #onReturn = (event) => {
    // a page that comes back from the browser's cache has no session any more
    if (event.persisted && this.#connection !== null) this.#restart();
  };
  #onOnline = () => this.#connection?.retry();

  constructor() {
    super();
    this.#surface.onStart = () => void this.#begin();
    this.#surface.onRetry = () => this.#connection?.retry();
    this.#surface.onUnable = () =>
      this.#tell("vivant-warning", { type: "warning", code: "no_webgl", message: "This browser has no WebGL, so the background cannot be transparent." });
    this.#voice.onLost = () => void this.stopMicrophone();
  }

  connectedCallback() {
    addEventListener("pagehide", this.#onLeave);
    addEventListener("pageshow", this.#onReturn);
    addEventListener("online", this.#onOnline);
    if (this.#connection !== null) return; // moved within the page
    this.#enter("idle");
    this.#showRest();
    if (this.autoplay) void this.#begin();
    else this.#surface.offerStart();
  }

  disconnectedCallback() {
    removeEventListener("pagehide", this.#onLeave);
    removeEventListener("pageshow", this.#onReturn);
    removeEventListener("online", this.#onOnline);
    queueMicrotask(() => {
      if (!this.isConnected) this.close();
    });
  }

  /**
   * @param {string} name
   * @param {string | null} before
   * @param {string | null} now
   */
  attributeChangedCallback(name, before, now) {
    if (before === now) return;
    if (name === "muted") this.#surface.mute(now !== null);
    else if (name === "captions") this.#surface.caption(now !== null);
    else if (this.#connection === null) this.#showRest();
    else if (name === "session-url") this.#restart();
    else if (name === "mode") void this.#report(this.#applyMode(before));
    else if (now !== null) void this.#report(this.#connection.update({ [name]: now }));
  }

  /** A session's token or, in a page for its operator alone, a key; null for a server that takes none. */
  get token() {
    return this.#token;
  }

  set token(value) {
    if (value === this.#token) return;
    this.#token = value;
    if (this.#connection === null) this.#showRest();
    else this.#restart();
  }

  /** How far the connection is. */
  get phase() {
    return this.#phase;
  }

  /** What the portrait does. */
  get state() {
    return this.#state;
  }

  /** The session that is open, or null. */
  get sessionId() {
    return this.#connection?.session?.session_id ?? null;
  }

  /** Whether the microphone is open. */
  get microphone() {
    return this.#voice.isOpen;
  }

  /**
   * Opens a session, or joins one; resolves once the portrait is live. Does nothing where that is so.
   * @returns {Promise<void>}
   */
  async start() {
    if (!this.isConnected) throw failure("not_connected", "The avatar is not in the page.");
    if (this.#phase === "live") return;
    /** @type {Promise<void>} */
    const live = new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    if (this.#connection === null) this.#open();
    else this.#connection.retry();
    await live;
  }

  /** Gives the session up; one that was joined lives on. */
  close() {
    const connection = this.#connection;
    this.#connection = null;
    if (connection === null) return;
    connection.stop();
    this.#voice.close();
    this.#surface.clear();
    this.#surface.notify(null);
    this.#surface.offerStart();
    this.#enter("idle");
    this.#setState("idle");
    const waiting = this.#waiting.splice(0);
    for (const { reject } of waiting) reject(failure("closed", "The avatar was closed."));
  }

  /**
   * Says a text after what is queued, or one that is still being written; starts first if need be.
   * @param {string | AsyncIterable<string>} text
   * @param {{voice?: string, style?: Style}} [options]
   * @returns {Promise<number | undefined>} the utterance; of a text still being written undefined
   */
  async speak(text, options = {}) {
    const connection = await this.#live();
    if (typeof text === "string") {
      const { utterance } = await connection.request("POST", "speak", { text, ...options });
      return utterance;
    }
    this.#sendSurely({ type: "speak.start", ...options });
    for await (const piece of text) {
      if (piece !== "") this.#sendSurely({ type: "speak.delta", text: piece });
    }
    this.#sendSurely({ type: "speak.end" });
    return undefined;
  }

  /**
   * Takes the user's words, to be answered; starts first if need be.
   * @param {string} text
   * @returns {Promise<number>} the turn
   */
  async say(text) {
    const connection = await this.#live();
    const { turn } = await connection.request("POST", "say", { text });
    return turn;
  }

  /** Cuts the portrait off, here at once. */
  interrupt() {
    this.#connection?.interrupt();
  }

  /**
   * @param {string} name such as "nod"
   * @param {{strength?: number, duration?: number, mode?: "add" | "replace"}} [options]
   * @returns {Promise<number>} the media time of its beginning
   */
  async gesture(name, options = {}) {
    const connection = await this.#live();
    const begun = await connection.request("POST", "gesture", { name, ...options });
    return begun.media_time;
  }

  /**
   * Changes portrait, voice, background or style of the session. Attributes stay as they are.
   * @param {Choice} choice
   */
  async update(choice) {
    const connection = await this.#live();
    await connection.update(choice);
  }

  /**
   * Moves the face once; what comes too late is of no use and left out.
   * @param {Record<string, number>} coefficients
   * @param {{mode?: "add" | "replace", weight?: number, t?: number}} [options]
   * @returns {boolean} whether it went out
   */
  motion(coefficients, options = {}) {
    return this.#connection?.sendLossy({ type: "motion", coefficients, ...options }) ?? false;
  }

  /**
   * Sends any message of the protocol.
   * @param {ClientMessage} message
   * @returns {boolean} whether it went out
   */
  send(message) {
    return this.#connection?.send(message) ?? false;
  }

  /**
   * Opens the microphone: the portrait says what it hears, or listens to it in mode `converse`.
   * Rejects with the reason where it does not open.
   */
  async startMicrophone() {
    const connection = await this.#live();
    const track = await this.#voice.open();
    connection.useMicrophone(this.#use);
    await connection.setMicrophone(track);
  }

  async stopMicrophone() {
    this.#voice.close();
    await this.#connection?.setMicrophone(null);
  }

  get #use() {
    return this.mode === "converse" ? /** @type {const} */ ("listen") : /** @type {const} */ ("puppet");
  }

  /** @returns {Promise<Connection>} once it is live */
  async #live() {
    await this.start();
    if (this.#connection === null) throw failure("closed", "The avatar was closed.");
    return this.#connection;
  }

  /** Starts as the visitor wishes, or is heard from now on. What goes wrong is shown and told already. */
  async #begin() {
    if (this.#phase === "live") await this.#surface.listen();
    else await this.start().catch(() => undefined);
  }

  #open() {
    /** @type {import("./place.js").Place} */
    let place;
    try {
      place = readPlace(this.getAttribute("session-url"), this.#usual());
    } catch {
      this.#fail("bad_request", `session-url is no address: '${this.sessionUrl}'.`);
      return;
    }
    const server = new Server(place.base, this.#token);
    const join = place.session;
    this.#surface.withdrawStart();
    /** @type {Connection} */
    const connection = new Connection(
      {
        prepare: async () => (join === null ? this.#wishes() : {}),
        onPhase: (phase) => this.#connection === connection && this.#onPhase(phase),
        onMessage: (message) => this.#connection === connection && this.#onMessage(message),
      },
      { server, channel: true, ...(join !== null && { join }) },
    );
    this.#connection = connection;
    connection.start();
  }

  /** Without an address it is the server's that gave this module; a relative one is the page's. */
  #usual() {
    return this.hasAttribute("session-url") ? document.baseURI : ORIGIN;
  }

  #restart() {
    this.close();
    void this.#begin();
  }

  /** @returns {Choice} */
  #wishes() {
    const { portrait, voice, background, mode } = this;
    return {
      ...(portrait && { portrait }),
      ...(voice && { voice }),
      ...(background && { background }),
      ...(mode === "converse" && { mode }),
    };
  }

  /** Shows the picture at rest, once all attributes that change together have changed. */
  #showRest() {
    if (this.#isResting || !this.isConnected) return;
    this.#isResting = true;
    queueMicrotask(() => {
      this.#isResting = false;
      void this.#fetchRest();
    });
  }

  async #fetchRest() {
    try {
      const { base, session } = readPlace(this.getAttribute("session-url"), this.#usual());
      const server = new Server(base, this.#token);
      const shown = session === null ? this.portrait : (await server.request("GET", `v1/sessions/${session}`)).portrait;
      const portrait = shown || (await server.getInfo()).default_portrait;
      this.#surface.showStill(await server.showPortrait(portrait));
    } catch (error) {
      if (this.#connection === null) this.#surface.notify({ message: explain(error) });
    }
  }

  /** @param {Phase} phase */
  #onPhase(phase) {
    if (phase.name === "live") {
      this.#surface.play(phase.stream);
      this.#connection?.seenIn(this.#surface.video);
      this.#enter("live");
      this.#connection?.useMicrophone(this.#use);
      if (this.#connection?.session?.token === undefined) this.#joined();
      for (const { resolve } of this.#waiting.splice(0)) resolve();
      return;
    }
    this.#surface.clear();
    this.#setState("idle");
    if (phase.name === "queued") this.#surface.notify(explainWait(phase.position, phase.seconds));
    if (phase.name === "waiting") this.#surface.notify({ message: phase.message, action: "Try now" });
    if (phase.name === "closed") this.#surface.notify({ message: phase.message, action: "Start again" });
    if (phase.name === "connecting" && this.#phase === "idle") this.#surface.notify(null);
    const { name, ...rest } = phase;
    this.#enter(name, rest);
    if (phase.name === "waiting") {
      this.#tell("vivant-error", { type: "error", code: phase.code ?? "not_connected", message: phase.message });
    }
  }

  /** Someone else's session is changed to what this element is told to show. */
  #joined() {
    const { mode: _, ...choice } = this.#wishes();
    if (Object.keys(choice).length > 0) void this.#report(this.#connection?.update(choice));
  }

  /** @param {ServerMessage} message */
  #onMessage(message) {
    switch (message.type) {
      case "session.ready":
        this.#surface.describe(`${message.portrait}, live`);
        break;
      case "session.state_updated":
        this.#setState(message.state);
        break;
      case "agent.speak_ended":
        this.#surface.captions.end({ isInterrupted: message.interrupted });
        break;
      case "subtitle.delta":
        this.#surface.captions.add(message.utterance, message.text);
        break;
    }
    const name = EVENTS[message.type];
    if (name !== undefined) this.#tell(name, message);
    this.#tell("vivant-message", message);
  }

  /** @param {string | null} before */
  async #applyMode(before) {
    this.#connection?.useMicrophone(this.#use);
    const wasConversing = before === "converse";
    const converses = this.mode === "converse";
    if (wasConversing === converses || this.sessionId === null) return;
    await this.#connection?.request("PUT", "brain", converses ? {} : { brain: "off" });
  }

  /** @param {ClientMessage} message */
  #sendSurely(message) {
    if (!this.send(message)) throw failure("not_connected", "The connection was lost while speaking.");
  }

  /**
   * Tells of what went wrong with something that nobody waits for.
   * @param {Promise<unknown> | undefined} deed
   */
  async #report(deed) {
    try {
      await deed;
    } catch (error) {
      const code = error instanceof ApiError ? error.code : "not_connected";
      this.#tell("vivant-error", { type: "error", code, message: explain(error) });
    }
  }

  /**
   * @param {string} code
   * @param {string} message
   */
  #fail(code, message) {
    this.#surface.notify({ message });
    this.#tell("vivant-error", { type: "error", code, message });
    for (const { reject } of this.#waiting.splice(0)) reject(failure(code, message));
  }

  /**
   * @param {PhaseName} phase
   * @param {object} [details]
   */
  #enter(phase, details = {}) {
    this.#swap(this.#phase, phase);
    this.#phase = phase;
    this.#tell("vivant-phase", { type: "phase", phase, ...details });
  }

  /** @param {SpeechState} state */
  #setState(state) {
    this.#swap(this.#state, state);
    this.#state = state;
  }

  /**
   * Lets style sheets ask for `:state(live)`, `:state(speaking)` and so on.
   * @param {string} before
   * @param {string} now
   */
  #swap(before, now) {
    this.#internals.states.delete(before);
    if (now !== "idle") this.#internals.states.add(now);
  }

  /**
   * @param {string} name
   * @param {object} detail
   */
  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}

/**
 * @param {string} code
 * @param {string} message
 * @returns {ApiError}
 */
function failure(code, message) {
  return new ApiError({ status: 0, code, message, retryAfter: null });
}
