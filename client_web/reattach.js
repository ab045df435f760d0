/**
 * Takes a session's events up again that broke off while its media goes on, as when one of several
 * gateways is restarted. Knows no session life cycle.
 */

import { wait } from "./retry.js";

/** @import { Events } from "./events.js" */
/** @import { Peer } from "./peer.js" */

/** Between two attempts, in milliseconds; the first is made at once. */
const AGAIN = 250;
const LONGEST = 2_000;

/** How long a line may take to open, in milliseconds. */
const OPENING = 3_000;

/** How long no sound may come before media counts as gone, too, in milliseconds. */
const STILL = 1_000;

/**
 * Returns a new line; "moved" where the session is on another machine by now, and media of it has
 * to be connected anew; null where media is gone, or the session.
 * @param {() => Events} open
 * @param {Peer} peer
 * @param {() => boolean} isWanted
 * @returns {Promise<Events | "moved" | null>}
 */
export async function reattach(open, peer, isWanted) {
  let heard = peer.soundTime;
  let since = performance.now();
  for (let pause = AGAIN; isWanted(); pause = Math.min(2 * pause, LONGEST)) {
    const events = open();
    const isSame = await Promise.race([
      events.attached,
      events.ended.then(() => null),
      wait(OPENING).then(() => null),
    ]);
    if (isSame === true && isWanted()) return events;
    events.close();
    if (isSame === false) return "moved";
    if (events.isRefused) return null;
    await wait(pause * (1 - Math.random() / 4));
    const now = performance.now();
    if (peer.soundTime !== heard) [heard, since] = [peer.soundTime, now];
    else if (now - since > STILL) return null;
  }
  return null;
}
