/**
 * Why a microphone or a camera did not open, in words a person understands.
 */

/** @typedef {"microphone" | "camera"} Device */

/**
 * Says why the microphone or the camera did not open.
 * @param {unknown} error what getUserMedia threw, or what `mediaDevices` being absent caused
 * @param {Device} device
 * @returns {string}
 */
export function explainDevice(error, device) {
  if (!window.isSecureContext) {
    const path = `${location.port ? `:${location.port}` : ""}`;
    return `The browser opens the ${device} only on secure pages. Open this page by https, or as http://localhost${path} on the computer that runs it.`;
  }
  const name = error instanceof DOMException ? error.name : "";
  switch (name) {
    case "NotAllowedError":
      return `The ${device} is blocked for this page. Allow it in the address bar's site settings, then try again.`;
    case "NotFoundError":
    case "OverconstrainedError":
      return `No ${device} was found. Connect one, then try again.`;
    case "NotReadableError":
    case "AbortError":
      return `The ${device} is in use by another program. Close that program, then try again.`;
    default:
      return `The ${device} did not open. Check that it works in another program, then try again.`;
  }
}
