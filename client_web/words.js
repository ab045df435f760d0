/**
 * What went wrong, in words a person understands. The server's own sentences pass through.
 */

import { ApiError, NetworkError } from "./server.js";

/** @import { CloseReason } from "./protocol.js" */

/** @type {Record<string, string>} */
const ADVICE = {
  no_face: "Choose a picture in which the whole face can be seen.",
  face_too_small: "Choose a picture in which the face is larger, or move the frame close to it.",
  face_turned: "Choose a picture that looks towards the viewer.",
  mouth_covered: "Choose a picture with nothing in front of the mouth.",
  image_unreadable: "JPEG, PNG and WebP pictures work.",
  image_too_large: "Choose a smaller picture.",
  face_denied: "Choose a picture of somebody else.",
};

/**
 * Says what went wrong with a request, with advice where there is some.
 * @param {unknown} error
 * @returns {string}
 */
export function explain(error) {
  if (error instanceof ApiError) return advise(error.code, error.message);
  if (error instanceof NetworkError) {
    return navigator.onLine ? "The server cannot be reached." : "This device is offline.";
  }
  return "Something unexpected went wrong. Reloading the page may help.";
}

/**
 * Adds advice to a refusal, where there is some.
 * @param {string} code
 * @param {string} message
 * @returns {string}
 */
export function advise(code, message) {
  const advice = ADVICE[code];
  return advice === undefined ? message : `${message} ${advice}`;
}

/**
 * Says where somebody stands in line.
 * @param {number} position 1 for who is next
 * @param {number | null} seconds estimated
 * @returns {{title: string, message: string}}
 */
export function explainWait(position, seconds) {
  const title = position === 1 ? "You are next" : `Number ${position} in line`;
  const others = "Others are with the portrait just now.";
  return { title, message: seconds === null ? others : `${others} Your turn comes in ${roughly(seconds)}.` };
}

/**
 * Says that the session will end soon, and what helps.
 * @param {CloseReason} reason
 * @param {number} seconds
 * @returns {string}
 */
export function explainEnd(reason, seconds) {
  if (reason === "shutdown") {
    return `The server is about to restart: this session ends in ${seconds} seconds at the latest.`;
  }
  return reason === "time"
    ? `Your time with the portrait ends in ${seconds} seconds.`
    : `Are you still there? The portrait goes to rest in ${seconds} seconds unless you say or touch something.`;
}

/**
 * @param {number} seconds
 * @returns {string}
 */
function roughly(seconds) {
  if (seconds < 45) return `about ${seconds} seconds`;
  const minutes = Math.round(seconds / 60);
  return minutes === 1 ? "about a minute" : `about ${minutes} minutes`;
}
