/**
 * Mode Puppet: the visitor's voice moves the portrait, which is shown elsewhere.
 */

import { address } from "../api.js";
import { byId } from "../dom.js";

/** @import { Mode, Page } from "./mode.js" */
/** @import { Phase } from "../connection.js" */
/** @import { ServerMessage } from "../protocol.js" */

/** @implements {Mode} */
export class PuppetMode {
  #page;
  #view = byId("puppet-view", HTMLAnchorElement);

  /** @param {Page} page */
  constructor(page) {
    this.#page = page;
  }

  enter() {
    this.#page.microphone.setUse("puppet");
  }

  leave() {}

  /** @param {Phase} phase */
  onPhase(phase) {
    if (phase.name !== "live") this.#view.hidden = true;
  }

  /** @param {ServerMessage} message */
  onMessage(message) {
    if (message.type !== "session.ready") return;
    this.#view.href = address(`view/${message.session_id}`).href;
    this.#view.hidden = false;
  }
}
