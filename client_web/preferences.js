/**
 * What the visitor chose last time. A browser that forbids storage forgets when the page goes.
 */

const PREFIX = "vivant.";

/** @typedef {"portrait" | "voice" | "background" | "style" | "sound" | "captions" | "mode" | "microphone" | "speaker" | "camera" | "processing" | "puppet" | "films" | "script" | "script-format" | "talk"} Preference */

/** What was chosen on this visit. @type {Map<Preference, string>} */
const memory = new Map();

/**
 * @param {Preference} name
 * @returns {string | null}
 */
export function recall(name) {
  return memory.get(name) ?? storage()?.getItem(PREFIX + name) ?? null;
}

/**
 * @param {Preference} name
 * @param {string} value
 */
export function remember(name, value) {
  memory.set(name, value);
  storage()?.setItem(PREFIX + name, value);
}

/** @param {Preference} name */
export function forget(name) {
  memory.delete(name);
  storage()?.removeItem(PREFIX + name);
}

/**
 * Reading `localStorage` itself throws where cookies are blocked.
 * @returns {Storage | null}
 */
function storage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
