/**
 * The REST half of docs/protocol.md, of the server that this page comes from. Knows no element.
 */

import { Server } from "./server.js";

/** @import { Choice } from "./protocol.js" */

/** @typedef {import("./server.js").Method} Method */

export { ApiError, NetworkError } from "./server.js";

/** The server that this page comes from. */
export const here = new Server(document.baseURI);

/** @param {string} path such as "v1/info" */
export const address = (path) => here.address(path);

export const getInfo = () => here.getInfo();
export const getVoices = () => here.getVoices();
export const getPortraits = () => here.getPortraits();

/** @param {string} id */
export const portraitImage = (id) => here.portraitImage(id);

/** @param {Blob} image */
export const uploadBackground = (image) => here.uploadBackground(image);

/**
 * @param {string} id
 * @param {Choice} choice
 */
export const updateSession = (id, choice) => here.updateSession(id, choice);

/**
 * @param {{session_id: string, token?: string}} session
 * @param {string} sdp
 */
export const sendOffer = (session, sdp) => here.sendOffer(session, sdp);

/**
 * @param {Method} method
 * @param {string} path
 * @param {string | FormData} [body] a string is JSON
 * @returns {Promise<any>} null where the answer has no content
 */
export const request = (method, path, body) => here.request(method, path, body);
