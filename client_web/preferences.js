/**
 * What the visitor chose last time. A browser that forbids storage simply forgets.
 */

const PREFIX = "vivant.";

/** @typedef {"portrait" | "voice" | "background" | "style" | "sound" | "captions" | "mode" | "microphone" | "speaker" | "camera" | "processing" | "puppet" | "films"} Preference */

/**
 * @param {Preference} name
 * @returns {string | null}
 */
export function recall(name) {
  return storage()?.getItem(PREFIX + name) ?? null;
}

/**
 * @param {Preference} name
 * @param {string} value
 */
export function remember(name, value) {
  storage()?.setItem(PREFIX + name, value);
}

/** @param {Preference} name */
export function forget(name) {
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
