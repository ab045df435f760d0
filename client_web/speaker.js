/**
 * Where the portrait's sound comes out, in browsers that let a page choose (`setSinkId`).
 */

import { findDevice, listDevices, wished } from "./devices.js";
import { notify } from "./notices.js";

export const CAN_CHOOSE = "setSinkId" in HTMLMediaElement.prototype;

/**
 * Plays an element's sound through the loudspeaker that was chosen, or through the system's own, with
 * a notice, where that one is gone.
 * @param {HTMLMediaElement} element
 */
export async function useSpeaker(element) {
  const wanted = wished("audiooutput");
  const devices = await listDevices("audiooutput");
  // a browser that tells no devices may still know the one that was allowed before
  const id = findDevice(devices, wanted)?.id ?? (devices.length === 0 ? wanted?.id : undefined) ?? "";
  try {
    if (element.sinkId !== id) await element.setSinkId(id);
    if (id !== "" || wanted === null) return;
  } catch (error) {
    // it is gone, or the browser asks for the microphone's permission first
    if (!(error instanceof DOMException)) throw error;
  }
  notify(`The loudspeaker “${wanted?.label}” is not there: the system's own is used.`);
}
