/**
 * The portraits' half of REST: look at a picture, keep it, rename, delete. See docs/protocol.md.
 */

import { NetworkError, here } from "./api.js";

/** @import { Portrait } from "./protocol.js" */

/** How long the server may take, in milliseconds: it looks at pictures when nothing live is waiting. */
const PATIENCE = 120_000;

/** A part of a picture, in its own pixels. @typedef {{left: number, top: number, width: number, height: number}} Part */

/**
 * What is said of a picture: by what right it is used, and whether it outlives its session.
 * @typedef {{rights: string, isKept: boolean}} Terms
 */

/**
 * What would become of a picture; places are in its own pixels.
 * @typedef {object} Finding
 * @property {boolean} accepted
 * @property {string} code "ok", or why it is refused
 * @property {string} message
 * @property {number} width
 * @property {number} height
 * @property {[number, number, number, number] | null} frame left, top, width and height of what is shown
 * @property {[number, number][]} landmarks
 * @property {string[]} warnings
 */

/**
 * Looks at a picture, or at a part of it; nothing is kept.
 * @param {Blob} image
 * @param {Part | null} part
 * @returns {Promise<Finding>}
 */
export const previewPortrait = (image, part) =>
  here.request("POST", "v1/portraits/preview", form(image, "picture", part), PATIENCE);

/**
 * Makes a portrait of a picture, or of a part of it.
 * @param {Blob} image
 * @param {string} name
 * @param {Part | null} part
 * @param {Terms} terms
 * @param {string | null} session that it is for
 * @returns {Promise<Portrait>}
 */
export function keepPortrait(image, name, part, terms, session) {
  const body = form(image, name, part);
  body.append("name", name);
  body.append("rights", terms.rights);
  body.append("keep", String(terms.isKept));
  if (session !== null) body.append("session", session);
  return here.request("POST", "v1/portraits", body, PATIENCE);
}

/**
 * @param {string} id
 * @param {string} name
 * @returns {Promise<Portrait>}
 */
export const renamePortrait = (id, name) => here.request("PATCH", path(id), JSON.stringify({ name }));

/**
 * Deletes a portrait, also while the page is being closed.
 * @param {string} id
 * @returns {Promise<void>}
 */
export async function deletePortrait(id) {
  const answer = await fetch(here.address(path(id)), { method: "DELETE", keepalive: true }).catch((error) => {
    throw new NetworkError(error);
  });
  // one that is gone already is no error
  if (!answer.ok && answer.status !== 404) throw new Error(`DELETE answered ${answer.status}`);
}

/** @param {string} id */
const path = (id) => `v1/portraits/${encodeURIComponent(id)}`;

/**
 * @param {Blob} image
 * @param {string} name
 * @param {Part | null} part
 * @returns {FormData}
 */
function form(image, name, part) {
  const body = new FormData();
  body.append("image", image, name);
  if (part !== null) body.append("crop", [part.left, part.top, part.width, part.height].join(","));
  return body;
}
