/**
 * Microphones, cameras and loudspeakers: which there are, which one was chosen, and how it is
 * opened. A choice is kept by id and by name, as a browser that forgets a page gives new ids.
 * Knows no element.
 */

import { forget, recall, remember } from "./preferences.js";

/** @typedef {"audioinput" | "audiooutput" | "videoinput"} Kind */

/** @typedef {{id: string, label: string}} Wish */

/** @typedef {{id: string, label: string}} Device */

const PREFERENCES = /** @type {const} */ ({ audioinput: "microphone", audiooutput: "speaker", videoinput: "camera" });

/** Chromium's names for what the system has chosen; the page has an entry of its own for that. */
const ALIASES = new Set(["", "default", "communications"]);

/**
 * The device that was chosen, null for the system's own.
 * @param {Kind} kind
 * @returns {Wish | null}
 */
export function wished(kind) {
  const kept = recall(PREFERENCES[kind]);
  if (kept === null) return null;
  try {
    const { id, label } = JSON.parse(kept);
    return { id: String(id), label: String(label) };
  } catch {
    return null; // another program's, or an older page's
  }
}

/**
 * @param {Kind} kind
 * @param {Device | null} device null for the system's own
 */
export function wish(kind, device) {
  if (device === null) forget(PREFERENCES[kind]);
  else remember(PREFERENCES[kind], JSON.stringify(device));
}

/**
 * The devices there are. Browsers tell them only once one of their kind may be used; until then
 * the list is empty.
 * @param {Kind} kind
 * @returns {Promise<Device[]>}
 */
export async function listDevices(kind) {
  const all = await navigator.mediaDevices.enumerateDevices();
  return all
    .filter((device) => device.kind === kind && !ALIASES.has(device.deviceId) && device.label !== "")
    .map(({ deviceId: id, label }) => ({ id, label }));
}

/**
 * @param {Device[]} devices
 * @param {Wish | null} wanted
 * @returns {Device | null} by its id, else by its name
 */
export function findDevice(devices, wanted) {
  if (wanted === null) return null;
  const named = devices.find(({ label }) => label === wanted.label);
  return devices.find(({ id }) => id === wanted.id) ?? named ?? null;
}

/**
 * Opens the chosen microphone or camera, or the system's own where that one is gone.
 * @param {"audioinput" | "videoinput"} kind
 * @param {MediaTrackConstraints} constraints
 * @returns {Promise<{stream: MediaStream, track: MediaStreamTrack, missing: string | null}>} `missing`
 *   is the name of a chosen device that is gone
 * @throws what getUserMedia throws
 */
export async function openDevice(kind, constraints) {
  const ask = async (/** @type {MediaTrackConstraints} */ more) => {
    const wanted = { ...constraints, ...more };
    const stream = await navigator.mediaDevices.getUserMedia(
      kind === "audioinput" ? { audio: wanted } : { video: wanted },
    );
    const [track] = stream.getTracks();
    if (track === undefined) throw new DOMException("a stream without a track", "NotFoundError");
    return { stream, track };
  };
  const wanted = wished(kind);
  if (wanted === null) return { ...(await ask({})), missing: null };
  const known = findDevice(await listDevices(kind), wanted);
  if (known !== null) return { ...(await ask({ deviceId: { exact: known.id } })), missing: null };
  // before permission no device is told: what was given is looked at
  const given = await ask({ deviceId: { ideal: wanted.id } });
  const found = findDevice(await listDevices(kind), wanted);
  if (found === null) return { ...given, missing: wanted.label };
  if (given.track.getSettings().deviceId === found.id) return { ...given, missing: null };
  given.track.stop();
  return { ...(await ask({ deviceId: { exact: found.id } })), missing: null };
}
