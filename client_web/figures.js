/**
 * The connection's figures in words: in brief for the corner, and all of them as a table.
 */

import { figures } from "./stats.js";

/** @import { Figures } from "./stats.js" */
/** @import { Metrics } from "./protocol.js" */

/**
 * @typedef {object} Seen
 * @property {RTCStatsReport} report
 * @property {RTCStatsReport | null} before the report of about a second ago
 * @property {Metrics | null} metrics what the server said last
 * @property {number | null} roundTrip milliseconds
 */

/**
 * Tells how the connection does.
 * @param {Seen} seen
 * @returns {{brief: string, table: [string, string][]}}
 */
export function tell({ report, before, metrics, roundTrip }) {
  const seen = figures(report, before);
  const delay = delayOf(seen, metrics, roundTrip);
  const brief = [unit(seen.fps, "fps"), unit(delay, "ms")].filter((part) => part !== "–");
  /** @type {[string, string][]} */
  const table = [
    ["Pictures shown", unit(seen.fps, "per second")],
    ["Delay, speech to picture", unit(delay, "ms")],
    ["Sound against picture", against(seen.offset)],
    ["Round trip", unit(roundTrip, "ms")],
    ["Jitter", unit(seen.jitter, "ms", 1)],
    ["Buffer", unit(seen.buffered, "ms")],
    ["Bit rate", unit(seen.kilobits, "kbit/s")],
    ["Packets lost", unit(seen.lost, "")],
    ["Frames dropped here", unit(seen.dropped, "")],
    ["Frames late at the server", unit(metrics?.late_frames ?? null, "")],
    ["Drawing one frame", unit(metrics?.render_ms ?? null, "ms", 1)],
    ["Picture", [seen.size, seen.codec].filter(Boolean).join(", ") || "–"],
  ];
  return { brief: brief.join(" · "), table };
}

/**
 * Sound made to picture seen, estimated: the server's part, the way, and the browser's buffer.
 * @param {Figures} seen
 * @param {Metrics | null} metrics
 * @param {number | null} roundTrip
 * @returns {number | null}
 */
function delayOf(seen, metrics, roundTrip) {
  const server = metrics?.latency_ms ?? null;
  if (server === null || seen.buffered === null) return null;
  return server + (roundTrip ?? 0) / 2 + seen.buffered;
}

/**
 * @param {number | null} value
 * @param {string} name
 * @param {number} [digits]
 * @returns {string}
 */
function unit(value, name, digits = 0) {
  if (value === null) return "–";
  const text = value.toFixed(digits);
  return name === "" ? text : `${text} ${name}`;
}

/**
 * @param {number | null} offset milliseconds by which the sound is ahead
 * @returns {string}
 */
function against(offset) {
  if (offset === null) return "–";
  const milliseconds = Math.round(offset);
  if (milliseconds === 0) return "together";
  return milliseconds > 0 ? `${milliseconds} ms ahead` : `${-milliseconds} ms behind`;
}
