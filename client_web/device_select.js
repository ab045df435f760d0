/**
 * A list to choose a microphone, a camera or a loudspeaker from, as they come and go. Opens none.
 */

import { findDevice, listDevices, wish, wished } from "./devices.js";
import { create } from "./dom.js";

/** @import { Device, Kind } from "./devices.js" */

/** @type {Record<Kind, string>} */
const SYSTEMS_OWN = {
  audioinput: "The system's own microphone",
  audiooutput: "The system's own loudspeaker",
  videoinput: "The system's own camera",
};

export class DeviceSelect {
  /** Called when another was chosen. @type {() => void} */
  onChoose = () => {};

  /** Called with the name of a chosen device that has gone. @type {(label: string) => void} */
  onGone = () => {};

  #select;
  #kind;
  /** @type {Device[]} */
  #devices = [];
  #wasThere = false;

  /**
   * @param {HTMLSelectElement} select
   * @param {Kind} kind
   */
  constructor(select, kind) {
    this.#select = select;
    this.#kind = kind;
    select.addEventListener("change", () => {
      wish(kind, this.#devices.find(({ id }) => id === select.value) ?? null);
      this.#draw();
      this.onChoose();
    });
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.refresh());
  }

  /** Whether the browser tells which devices there are. */
  get isTold() {
    return this.#devices.length > 0;
  }

  /** Asks again which devices there are. */
  async refresh() {
    // pages that are not secure have no devices at all
    this.#devices = navigator.mediaDevices === undefined ? [] : await listDevices(this.#kind);
    this.#draw();
    const wanted = wished(this.#kind);
    const isThere = findDevice(this.#devices, wanted) !== null;
    if (wanted !== null && this.#wasThere && !isThere) this.onGone(wanted.label);
    this.#wasThere = isThere;
  }

  #draw() {
    const wanted = wished(this.#kind);
    const found = findDevice(this.#devices, wanted);
    const options = this.#devices.map(({ id, label }) => new Option(label, id, false, id === found?.id));
    const own = new Option(SYSTEMS_OWN[this.#kind], "", false, wanted === null);
    this.#select.replaceChildren(own, ...options);
    if (wanted === null || found !== null) return;
    const words = this.isTold ? `${wanted.label} (not connected)` : wanted.label;
    this.#select.append(create("option", { value: wanted.id, disabled: this.isTold, selected: true }, words));
  }
}
