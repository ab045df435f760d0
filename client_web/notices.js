/**
 * Short messages that come and go, for the eye and for screen readers.
 */

import { byId, create, setText } from "./dom.js";

/** Milliseconds that a notice stays, and how many stay at once. */
const STAY = 8_000;
const MOST = 3;

/** Something that a notice offers. @typedef {{label: string, act: () => void}} Action */

/**
 * Shows a message. A fault is read out at once, news when the screen reader has time.
 * @param {string} message
 * @param {{isFault?: boolean, action?: Action}} [options]
 */
export function notify(message, { isFault = false, action } = {}) {
  const region = byId("notices", HTMLElement);
  for (const shown of region.children) {
    if (shown.firstElementChild?.textContent === message) shown.remove();
  }
  const dismiss = create("button", { type: "button", className: "dismiss", ariaLabel: "Dismiss" }, "×");
  const text = create("p", {}, message);
  const notice = create("div", { className: isFault ? "notice fault-notice" : "notice" }, text, dismiss);
  if (action !== undefined) {
    const button = create("button", { type: "button", className: "button" }, action.label);
    button.addEventListener("click", () => {
      notice.remove();
      action.act();
    });
    text.after(button);
  }
  notice.setAttribute("role", isFault ? "alert" : "status");
  dismiss.addEventListener("click", () => notice.remove());
  region.append(notice);
  while (region.children.length > MOST) region.firstElementChild?.remove();
  setTimeout(() => notice.remove(), STAY);
}

/**
 * Tells screen readers alone.
 * @param {string} message
 */
export function announce(message) {
  setText(byId("announcer", HTMLElement), message);
}
