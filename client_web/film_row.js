/**
 * One film in the list: when, how long and how large it is, and what can be done with it.
 */

import { address } from "./api.js";
import { create, setText } from "./dom.js";

/**
 * What the server tells of a recording; of one of an earlier server it knows less.
 * @typedef {{id: string, format: string, state: "waiting" | "recording" | "closed" | "failed", reason?: string | null, seconds?: number, bytes: number, url: string}} Film
 */

/**
 * @param {Film} film
 * @param {{onStop: () => void} | {onDelete: () => void}} act what its button does
 * @returns {HTMLLIElement}
 */
export function filmRow(film, act) {
  const length = film.seconds === undefined ? "" : duration(film.seconds);
  const facts = [length, size(film.bytes), film.format === "webm" ? "WebM" : "MP4"].filter(Boolean);
  const name = when(film.id);
  const words = create("p", {}, name, create("span", { className: "fine" }, facts.join(" · ")));
  const row = create("li", { className: "film" }, words);
  row.dataset["id"] = film.id;
  if ("onStop" in act) {
    const stop = create("button", { type: "button", className: "button", ariaLabel: `Stop the film of ${name}` }, "Stop");
    stop.addEventListener("click", act.onStop);
    row.append(stop);
    return row;
  }
  const href = address(film.url.slice(1)).href;
  const ariaLabel = `Download the film of ${name}`;
  const link = create("a", { className: "button", href, download: "", ariaLabel }, "Download");
  row.append(link, deleter(name, act.onDelete));
  return row;
}

/**
 * A button that deletes at the second press: there is no way back.
 * @param {string} name
 * @param {() => void} onDelete
 * @returns {HTMLButtonElement}
 */
function deleter(name, onDelete) {
  const button = create("button", { type: "button", className: "button" });
  const show = (/** @type {boolean} */ isSure) => {
    button.classList.toggle("sure", isSure);
    setText(button, isSure ? "For good?" : "Delete");
    button.ariaLabel = isSure ? `For good? Delete the film of ${name}` : `Delete the film of ${name}`;
  };
  show(false);
  button.addEventListener("blur", () => show(false));
  button.addEventListener("click", () => {
    if (button.classList.contains("sure")) onDelete();
    else show(true);
  });
  return button;
}

/**
 * @param {number} seconds
 * @returns {string} such as 1:05
 */
export function duration(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const parts = hours > 0 ? [hours, String(minutes).padStart(2, "0")] : [minutes];
  return [...parts, String(whole % 60).padStart(2, "0")].join(":");
}

/**
 * @param {number} bytes
 * @returns {string}
 */
const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

/**
 * When a film was begun, which its id tells.
 * @param {string} id such as 20260102T030405Z_...
 * @returns {string}
 */
function when(id) {
  const digits = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/.exec(id);
  if (digits === null) return id;
  const [, year, month, day, hour, minute, second] = digits.map(Number);
  const begin = new Date(Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second));
  const isToday = begin.toDateString() === new Date().toDateString();
  return isToday ? begin.toLocaleTimeString() : begin.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}
