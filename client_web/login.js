/**
 * Asks the visitor for the server's key, or for a session's token, and has the browser keep it as a
 * cookie that no script can read.
 */

import { request } from "./api.js";
import { byId, setText } from "./dom.js";
import { fetchPart } from "./lazy.js";
import { ApiError, Server } from "./server.js";
import { explain } from "./words.js";

/** What is asked for. @type {Record<"key" | "token", string>} */
const LABELS = {
  key: "This server lets in who has a key. Whoever runs it has one for you.",
  token: "This session lets in who has a token for it, or a key to the server.",
};

/**
 * Asks until there is a valid one; `check` is a path that then must answer.
 * @param {"key" | "token"} what
 * @param {string} [check]
 * @returns {Promise<void>}
 */
export async function logIn(what, check = "v1/login") {
  if (document.getElementById("login") === null) document.body.append(...(await fetchPart("login")));
  const dialog = byId("login", HTMLDialogElement);
  const field = byId("login-key", HTMLInputElement);
  const fault = byId("login-fault", HTMLElement);
  setText(byId("login-label", HTMLElement), LABELS[what]);
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  if (!dialog.open) dialog.showModal();
  field.focus();
  /** @type {Promise<void>} */
  const entered = new Promise((resolve) => {
    byId("login-form", HTMLFormElement).onsubmit = async (event) => {
      event.preventDefault();
      try {
        await enter(field.value.trim(), check);
      } catch (error) {
        const isWrong = error instanceof ApiError && [401, 404].includes(error.status);
        setText(fault, isWrong ? `That ${what} is not valid here.` : explain(error));
        field.select();
        return;
      }
      resolve();
    };
  });
  await entered;
  field.value = "";
  setText(fault, "");
  dialog.close();
}

/**
 * @param {string} key
 * @param {string} check
 */
async function enter(key, check) {
  if (!/^[!-~]+$/.test(key)) throw new ApiError({ status: 401, code: "unauthorized", message: "", retryAfter: null });
  await new Server(document.baseURI, key).request("POST", "v1/login");
  await request("GET", check);
}
