/**
 * Parts of the page that come when they are needed: NAME.html to be put in its place, and NAME.css.
 */

import { create } from "./dom.js";

/** A file of the page did not come. */
export class LoadError extends Error {
  /** @param {string} path */
  constructor(path) {
    super(`${path} did not come.`);
    this.name = "LoadError";
  }
}

/**
 * Fetches a part's markup, and waits until its style holds. Throws a LoadError.
 * @param {string} name such as "dialog", without an ending
 * @returns {Promise<Element[]>}
 */
export async function fetchPart(name) {
  const [markup] = await Promise.all([fetchMarkup(`${name}.html`), addStyle(`${name}.css`)]);
  return markup;
}

/**
 * Fetches a file of markup. The page's policy allows no text to become markup; here the browser
 * itself reads a file of ours, and runs nothing in it.
 * @param {string} path
 * @returns {Promise<Element[]>}
 */
function fetchMarkup(path) {
  const request = new XMLHttpRequest();
  request.open("GET", new URL(path, document.baseURI));
  request.responseType = "document";
  return new Promise((resolve, reject) => {
    request.addEventListener("error", () => reject(new LoadError(path)));
    request.addEventListener("load", () => {
      if (request.status !== 200 || request.responseXML === null) reject(new LoadError(path));
      else resolve([...request.responseXML.body.children].map((element) => document.adoptNode(element)));
    });
    request.send();
  });
}

/**
 * Adds a style sheet, once, and waits until it holds.
 * @param {string} path
 * @returns {Promise<void>}
 */
export function addStyle(path) {
  const href = new URL(path, document.baseURI).href;
  if ([...document.styleSheets].some((sheet) => sheet.href === href)) return Promise.resolve();
  const link = create("link", { rel: "stylesheet", href });
  return new Promise((resolve, reject) => {
    link.addEventListener("load", () => resolve());
    link.addEventListener("error", () => {
      link.remove();
      reject(new LoadError(path));
    });
    document.head.append(link);
  });
}
