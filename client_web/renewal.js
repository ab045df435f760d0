/**
 * Keeps a session's token from expiring while its connection lives.
 */

import { wait } from "./retry.js";
import { ApiError } from "./server.js";

/** @import { Session } from "./protocol.js" */
/** @import { Server } from "./server.js" */

/** Between two attempts while the server does not answer, in seconds. */
const AGAIN = 30;

/**
 * Gets a new token when half of the old one's time is over, until the connection has gone or the
 * server says that this token may not be renewed.
 * @param {Server} server
 * @param {Pick<Session, "session_id"> & Partial<Session>} session
 * @param {() => boolean} isOpen
 */
export async function renew(server, session, isOpen) {
  const isOwn = session.token !== undefined;
  if (!isOwn && server.token === null) return;
  // of a token that somebody else made, only its answer tells how long it lasts
  let pause = isOwn ? (session.expires_in ?? 0) / 2 : 0;
  for (;;) {
    await wait(1000 * pause);
    if (!isOpen()) return;
    try {
      const fresh = await server.request("POST", `v1/sessions/${session.session_id}/tokens`);
      if (isOwn) session.token = fresh.token;
      if (server.token !== null) server.token = fresh.token;
      pause = fresh.expires_in / 2;
    } catch (error) {
      if (error instanceof ApiError && error.status < 500) return;
      pause = AGAIN;
    }
  }
}
