/**
 * Where an avatar's session is: reads the attribute `session-url`.
 */

/** @typedef {{base: URL, session: string | null}} Place */

/** What follows a server's address where a session that exists is meant. */
const SESSION = /^(.*\/)(?:v1\/sessions|view)\/([^/]+)\/?$/;

/**
 * @param {string | null} text a server's address, or that of a session on it
 * @param {string} usual the address to take without one, and to which a relative one relates
 * @returns {Place}
 * @throws {TypeError} it is no address
 */
export function readPlace(text, usual) {
  const url = new URL(text ?? "", usual);
  const [, base, session] = SESSION.exec(url.pathname) ?? [];
  url.search = url.hash = "";
  if (base !== undefined && session !== undefined) {
    url.pathname = base;
    return { base: url, session: decodeURIComponent(session) };
  }
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return { base: url, session: null };
}
