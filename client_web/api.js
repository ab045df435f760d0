/**
 * The REST half of docs/protocol.md. Every refusal becomes an ApiError with the server's own
 * sentence; a server that cannot be reached becomes a NetworkError. Knows no element.
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

/**
 * The address of a resource, relative to the page, so that the page also works below a prefix.
 * @param {string} path such as "v1/info"
 * @returns {URL}
 */
export function address(path) {
  return new URL(path, document.baseURI);
}

/** @returns {Promise<Info>} */
export const getInfo = () => request("GET", "v1/info");

/** @returns {Promise<Voice[]>} */
export const getVoices = () => request("GET", "v1/voices");

/** @returns {Promise<Portrait[]>} */
export const getPortraits = () => request("GET", "v1/portraits");

/**
 * @param {string} id
 * @returns {string}
 */
export const portraitImage = (id) => address(`v1/portraits/${encodeURIComponent(id)}/image`).href;

/**
 * Sends a picture; the server finds the face in it.
 * @param {Blob} image
 * @param {string} name shown as the portrait's name
 * @returns {Promise<Portrait>}
 */
export function uploadPortrait(image, name) {
  const body = new FormData();
  body.append("image", image, name);
  return request("POST", "v1/portraits", body);
}

/**
 * Sends a picture to stand behind portraits.
 * @param {Blob} image
 * @returns {Promise<{id: string}>}
 */
export function uploadBackground(image) {
  const body = new FormData();
  body.append("image", image, "background");
  return request("POST", "v1/backgrounds", body);
}

/**
 * @param {Choice} choice
 * @returns {Promise<Session>}
 */
export const createSession = (choice) => request("POST", "v1/sessions", JSON.stringify(choice));

/**
 * Comes back to a session after the connection was lost.
 * @param {string} id
 * @param {string} token
 * @returns {Promise<Session>}
 */
export const resumeSession = (id, token) =>
  request("POST", `v1/sessions/${id}/resume`, JSON.stringify({ token }), SHORT_PATIENCE);

/**
 * @param {string} id
 * @param {Choice} choice
 * @returns {Promise<unknown>}
 */
export const updateSession = (id, choice) =>
  request("PATCH", `v1/sessions/${id}`, JSON.stringify(choice));

/**
 * @param {{session_id: string, token?: string}} session without a token for a guest
 * @param {string} sdp
 * @returns {Promise<RTCSessionDescriptionInit>}
 */
export const sendOffer = ({ session_id: id, token }, sdp) =>
  request("POST", `v1/sessions/${id}/offer`, JSON.stringify({ type: "offer", sdp, token }));

/**
 * Gives the session's place back. Works while the page is being closed; one that is already
 * gone is no error.
 * @param {string} id
 * @returns {Promise<void>}
 */
export async function deleteSession(id) {
  const options = { method: "DELETE", keepalive: true };
  await fetch(address(`v1/sessions/${id}`), options).catch((error) => {
    throw new NetworkError(error);
  });
}

/** @typedef {"GET" | "POST" | "PUT" | "PATCH" | "DELETE"} Method */

/**
 * @param {Method} method
 * @param {string} path
 * @param {string | FormData} [body] a string is JSON
 * @param {number} [patience] milliseconds
 * @returns {Promise<any>} null where the answer has no content
 */
export async function request(method, path, body, patience = PATIENCE) {
  /** @type {RequestInit} */
  const options = { method, signal: AbortSignal.timeout(patience), cache: "no-store" };
  if (body !== undefined) options.body = body;
  if (typeof body === "string") options.headers = { "Content-Type": "application/json" };
  /** @type {Response} */
  let response;
  try {
    response = await fetch(address(path), options);
  } catch (error) {
    throw new NetworkError(error);
  }
  if (!response.ok) throw await refusal(response);
  return response.status === 204 ? null : response.json();
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
