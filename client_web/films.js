/**
 * The films of this page's sessions: record, stop, download, delete. The server keeps them for some
 * days, and so the page remembers which sessions have some.
 */

import { ApiError, request } from "./api.js";
import { byId, setText } from "./dom.js";
import { duration, filmRow } from "./film_row.js";
import { fetchPart } from "./lazy.js";
import { announce, notify } from "./notices.js";
import { forget, recall, remember } from "./preferences.js";
import { replaceRows } from "./rows.js";
import { Streams } from "./streams.js";
import { explain } from "./words.js";

/** @import { Connection } from "./connection.js" */
/** @import { Film } from "./film_row.js" */
/** @import { ServerMessage } from "./protocol.js" */

/** Sessions with films that are remembered. */
const MOST = 10;

/** Why a recording ended, if it was not asked to. @type {Record<string, string>} */
const REASONS = {
  session: "The recording ended with the session.",
  duration: "The recording reached its longest time and ended.",
  size: "The recording reached its largest size and ended.",
  disk_full: "The recording ended because the server's disk is full.",
  disk_error: "The recording failed: the server could not write it.",
  error: "The recording failed on the server.",
  nothing: "Nothing was recorded: no picture came.",
};

export class Films {
  #connection;
  #streams;
  #button = byId("record", HTMLButtonElement);
  #fault = byId("record-fault", HTMLElement);
  #list = byId("films-list", HTMLElement);
  /** By their ids, the oldest first. @type {Map<string, Film>} */
  #films = new Map();
  /** When each that goes on was at its beginning, on this page's clock. @type {Map<string, number>} */
  #begun = new Map();
  #clock = 0;

  /**
   * Fetches the drawer's files and puts them into their place.
   * @param {HTMLElement} place
   * @param {Connection} connection
   * @returns {Promise<Films>}
   */
  static async fill(place, connection) {
    place.append(...(await fetchPart("films")));
    const films = new Films(connection);
    await films.refresh();
    return films;
  }

  /** How often something changed that a list asked for before does not know. */
  #changes = 0;
  /** @type {Promise<void> | null} */
  #asking = null;

  /** @param {Connection} connection */
  constructor(connection) {
    this.#connection = connection;
    this.#streams = new Streams(connection);
    this.#button.addEventListener("click", () => void this.#toggle());
    this.#draw();
  }

  /** Asks the server for what there is. */
  async refresh() {
    this.#changes += 1;
    this.#asking ??= this.#ask();
    await this.#asking;
  }

  /** Asks until nothing changes meanwhile: an answer may be older than what was told since. */
  async #ask() {
    /** @type {Film[][]} */
    let lists;
    let asked;
    do {
      asked = this.#changes;
      const own = this.#connection.session?.session_id;
      const all = new Set([...remembered(), ...(own === undefined ? [] : [own])]);
      lists = await Promise.all([...all].map((id) => this.#of(id, id === own)));
    } while (asked !== this.#changes);
    this.#asking = null;
    const before = this.#films;
    this.#films = new Map(lists.flat().map((film) => [film.id, { ...before.get(film.id), ...film }]));
    for (const film of this.#films.values()) this.#note(film);
    await this.#streams.refresh();
    this.#draw();
  }

  /** @param {ServerMessage} message */
  onMessage(message) {
    this.#streams.onMessage(message);
    if (message.type === "session.ready") void this.refresh();
    if (message.type !== "recording.updated") return;
    const film = this.#films.get(message.recording);
    if (film === undefined) return void this.refresh();
    this.#changes += 1;
    const wasGoing = isGoing(film);
    const { state, reason, seconds, bytes } = message;
    Object.assign(film, { state, reason, seconds, bytes });
    this.#note(film);
    if (wasGoing && !isGoing(film)) this.#tellEnd(film);
    this.#draw();
  }

  /** The film that is being made, the latest if there are several. @returns {Film | undefined} */
  get #current() {
    return [...this.#films.values()].filter(isGoing).at(-1);
  }

  async #toggle() {
    const current = this.#current;
    await this.#try(async () => {
      if (current === undefined) this.#take(await this.#connection.request("POST", "recordings"));
      else await this.#stop(current);
    });
  }

  /** @param {Film} film */
  #take(film) {
    this.#changes += 1;
    const known = this.#films.get(film.id);
    // its first picture may be told of before the answer that it waits for one has come
    const state = film.state === "waiting" && known !== undefined ? known.state : film.state;
    this.#films.set(film.id, { ...known, ...film, state });
    this.#note(film);
    const own = this.#connection.session?.session_id;
    if (own !== undefined) keep([...remembered().filter((id) => id !== own), own]);
  }

  /**
   * Does what was asked for while nothing else can be, and says why not.
   * @param {() => Promise<void>} work
   */
  async #try(work) {
    setText(this.#fault, "");
    this.#button.disabled = true;
    try {
      await work();
    } catch (error) {
      setText(this.#fault, explain(error));
    } finally {
      this.#button.disabled = false;
      this.#draw();
    }
  }

  /**
   * @param {string} sessionId
   * @param {boolean} isOwn
   * @returns {Promise<Film[]>}
   */
  async #of(sessionId, isOwn) {
    try {
      return await request("GET", `v1/sessions/${sessionId}/recordings`);
    } catch (error) {
      const isGone = error instanceof ApiError && error.status === 404;
      if (isGone && !isOwn) keep(remembered().filter((id) => id !== sessionId));
      else if (!isGone) setText(this.#fault, explain(error));
      return [];
    }
  }

  /**
   * Notes when a film began, to show how long it goes on.
   * @param {Film} film
   */
  #note(film) {
    if (film.state !== "recording") this.#begun.delete(film.id);
    else if (!this.#begun.has(film.id)) this.#begun.set(film.id, performance.now() - 1000 * (film.seconds ?? 0));
  }

  /** @param {Film} film */
  #tellEnd(film) {
    const words = film.reason === null || film.reason === undefined ? undefined : REASONS[film.reason];
    if (words !== undefined) notify(words, { isFault: film.state === "failed" });
    else announce("The film is ready.");
  }

  #draw() {
    const current = this.#current;
    document.body.dataset["recording"] = current === undefined ? "off" : "on";
    this.#button.setAttribute("aria-pressed", String(current !== undefined));
    const label = current === undefined ? "Record and stream" : "Record and stream: it is being recorded";
    byId("films-summary", HTMLElement).setAttribute("aria-label", label);
    const isTransparent = document.body.dataset["layout"] === "packed";
    const format = isTransparent ? "WebM with a transparent background" : "MP4 with sound";
    const hint = current === undefined ? `${format}. The server keeps it for some days.` : "It is being recorded.";
    setText(byId("record-hint", HTMLElement), current?.state === "waiting" ? "Waiting for a picture…" : hint);
    const others = [...this.#films.values()].filter((film) => film !== current && film.state !== "failed");
    const rows = others.reverse().map((film) => filmRow(film, isGoing(film)
      ? { onStop: () => void this.#try(() => this.#stop(film)) }
      : { onDelete: () => void this.#try(() => this.#delete(film)) }));
    replaceRows(this.#list, rows);
    clearInterval(this.#clock);
    if (current !== undefined) this.#clock = setInterval(() => this.#showTime(), 500);
    this.#showTime();
  }

  #showTime() {
    const current = this.#current;
    const begun = current && this.#begun.get(current.id);
    const time = begun === undefined ? "" : duration((performance.now() - begun) / 1000);
    setText(byId("films-time", HTMLElement), time);
    setText(byId("record-text", HTMLElement), current === undefined ? "Record" : `Stop ${time}`.trim());
  }

  /** @param {Film} film */
  async #stop(film) {
    this.#take(await this.#connection.request("DELETE", `recordings/${film.id}`));
  }

  /** @param {Film} film */
  async #delete(film) {
    await request("DELETE", `v1/recordings/${film.id}`);
    this.#changes += 1;
    this.#films.delete(film.id);
    byId("films-label", HTMLElement).focus();
  }
}

/** @param {Film} film */
const isGoing = (film) => film.state === "waiting" || film.state === "recording";

/** @returns {string[]} ids of sessions that have films */
const remembered = () => (recall("films") ?? "").split(" ").filter(Boolean);

/** @param {string[]} sessions */
function keep(sessions) {
  if (sessions.length === 0) forget("films");
  else remember("films", sessions.slice(-MOST).join(" "));
}
