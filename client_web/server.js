/**
 * The REST half of docs/protocol.md, of one server. Every refusal becomes an ApiError with the
 * server's own sentence; a server that cannot be reached becomes a NetworkError. Knows no element.
 */

/** @import { Choice, Info, Portrait, Session, Voice } from "./protocol.js" */

/** The server answered and said no. */
export class ApiError extends Error {
  /**
   * @param {object} refusal
   * @param {number} refusal.status
   * @param {string} refusal.code
   * @param {string} refusal.message
   * @param {number | null} refusal.retryAfter seconds
   */
  constructor({ status, code, message, retryAfter }) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** No answer came. */
export class NetworkError extends Error {
  /** @param {unknown} cause */
  constructor(cause) {
    super("The server cannot be reached.", { cause });
    this.name = "NetworkError";
  }
}

/** How long a request may take, in milliseconds. Reading a portrait takes a few seconds. */
const PATIENCE = 30_000;

/** How long a request may take that is repeated at once, in milliseconds. */
const SHORT_PATIENCE = 3_000;

/** @typedef {"GET" | "POST" | "PUT" | "PATCH" | "DELETE"} Method */

/** One server. */
export class Server {
  #base;

  /** What proves that we may, where a cookie does not. @type {string | null} */
  token;

  /**
   * @param {string | URL} base the server's address, or the page's, so that it also works below a prefix
   * @param {string | null} [token]
   */
  constructor(base, token = null) {
    this.#base = new URL(base);
    this.token = token;
  }

  /**
   * The address of a resource.
   * @param {string} path such as "v1/info"
   * @returns {URL}
   */
  address(path) {
    return new URL(path, this.#base);
  }

  /** @returns {Promise<Info>} */
  getInfo() {
    return this.request("GET", "v1/info");
  }

  /** @returns {Promise<Voice[]>} */
  getVoices() {
    return this.request("GET", "v1/voices");
  }

  /** @returns {Promise<Portrait[]>} */
  getPortraits() {
    return this.request("GET", "v1/portraits");
  }

  /**
   * @param {string} id
   * @returns {string}
   */
  portraitImage(id) {
    return this.address(`v1/portraits/${encodeURIComponent(id)}/image`).href;
  }

  /**
   * What an image element shows a portrait by: it brings no token, so that with one it is fetched.
   * @param {string} id
   * @returns {Promise<string>}
   */
  async showPortrait(id) {
    if (this.token === null) return this.portraitImage(id);
    const answer = await fetch(this.portraitImage(id), { headers: this.#headers });
    if (!answer.ok) throw await refusal(answer);
    return URL.createObjectURL(await answer.blob());
  }

  /**
   * Sends a picture to stand behind portraits.
   * @param {Blob} image
   * @returns {Promise<{id: string}>}
   */
  uploadBackground(image) {
    const body = new FormData();
    body.append("image", image, "background");
    return this.request("POST", "v1/backgrounds", body);
  }

  /**
   * @param {Choice} choice
   * @returns {Promise<Session>}
   */
  createSession(choice) {
    return this.request("POST", "v1/sessions", JSON.stringify(choice));
  }

  /**
   * Comes back to a session after the connection was lost.
   * @param {string} id
   * @param {string} token
   * @returns {Promise<Session>}
   */
  resumeSession(id, token) {
    return this.request("POST", `v1/sessions/${id}/resume`, JSON.stringify({ token }), SHORT_PATIENCE);
  }

  /**
   * @param {string} id
   * @param {Choice} choice
   * @returns {Promise<unknown>}
   */
  updateSession(id, choice) {
    return this.request("PATCH", `v1/sessions/${id}`, JSON.stringify(choice));
  }

  /**
   * @param {{session_id: string, token?: string}} session without a token for a guest
   * @param {string} sdp
   * @returns {Promise<RTCSessionDescriptionInit>}
   */
  sendOffer({ session_id: id, token }, sdp) {
    const offer = { type: "offer", sdp, token };
    return this.request("POST", `v1/sessions/${id}/offer`, JSON.stringify(offer));
  }

  /**
   * Gives the session's place back. Works while the page is being closed; one that is already
   * gone is no error.
   * @param {string} id
   * @returns {Promise<void>}
   */
  async deleteSession(id) {
    const options = { method: "DELETE", keepalive: true, headers: this.#headers };
    await fetch(this.address(`v1/sessions/${id}`), options).catch((error) => {
      throw new NetworkError(error);
    });
  }

  /** @returns {Record<string, string>} */
  get #headers() {
    return this.token === null ? {} : { Authorization: `Bearer ${this.token}` };
  }

  /**
   * @param {Method} method
   * @param {string} path
   * @param {string | FormData} [body] a string is JSON
   * @param {number} [patience] milliseconds
   * @returns {Promise<any>} null where the answer has no content
   */
  async request(method, path, body, patience = PATIENCE) {
    const headers = this.#headers;
    /** @type {RequestInit} */
    const options = { method, headers, signal: AbortSignal.timeout(patience), cache: "no-store" };
    if (body !== undefined) options.body = body;
    if (typeof body === "string") headers["Content-Type"] = "application/json";
    /** @type {Response} */
    let response;
    try {
      response = await fetch(this.address(path), options);
    } catch (error) {
      throw new NetworkError(error);
    }
    if (!response.ok) throw await refusal(response);
    return response.status === 204 ? null : response.json();
  }
}

/**
 * @param {Response} response
 * @returns {Promise<ApiError>}
 */
async function refusal(response) {
  const waiting = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  const retryAfter = Number.isFinite(waiting) ? waiting : null;
  const answer = await response.json().catch(() => null);
  const code = String(answer?.error?.code ?? "refused");
  const message = String(answer?.error?.message ?? `The server answered ${response.status}.`);
  return new ApiError({ status: response.status, code, message, retryAfter });
}
