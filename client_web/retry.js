/**
 * Waiting: how long before the next attempt, and waiting itself.
 */

const FIRST = 0.5;
const LONGEST = 15;

/**
 * Seconds before attempt number `attempt` (1 is the first repetition): doubling up to 15 s, and
 * spread by up to a quarter so that many pages do not return at the same instant. The server's own
 * wish is kept when it is longer.
 * @param {number} attempt
 * @param {{retryAfter?: number | null, random?: () => number}} [options]
 * @returns {number}
 */
export function retryDelay(attempt, { retryAfter = null, random = Math.random } = {}) {
  const doubled = Math.min(LONGEST, FIRST * 2 ** (attempt - 1));
  const spread = doubled * (1 - random() / 4);
  return Math.max(spread, retryAfter ?? 0);
}

/**
 * @param {number} milliseconds
 * @returns {Promise<void>}
 */
export function wait(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
