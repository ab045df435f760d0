/**
 * Reads the browser's WebRTC statistics into the few figures that people ask for.
 * Pure: two reports in, figures out.
 */

/**
 * @typedef {object} Figures
 * @property {number | null} fps frames decoded per second
 * @property {number | null} kilobits received per second, picture and sound
 * @property {number | null} jitter of the picture's packets, milliseconds
 * @property {number | null} buffered milliseconds that the picture waits in the browser's buffer
 * @property {number | null} lost packets since the start
 * @property {number | null} dropped frames since the start
 * @property {number | null} offset milliseconds by which the sound is ahead of the picture
 * @property {string | null} size such as "512 × 512"
 * @property {string | null} codec such as "H264"
 */

/**
 * Compares two reports taken about a second apart.
 * @param {RTCStatsReport} now
 * @param {RTCStatsReport | null} before
 * @returns {Figures}
 */
export function figures(now, before) {
  const video = inbound(now, "video");
  const audio = inbound(now, "audio");
  const earlierVideo = before && inbound(before, "video");
  const earlierAudio = before && inbound(before, "audio");
  return {
    fps: rate(video, earlierVideo, "framesDecoded"),
    kilobits: sum(kilobits(video, earlierVideo), kilobits(audio, earlierAudio)),
    jitter: video?.jitter === undefined ? null : video.jitter * 1000,
    buffered: buffered(video, earlierVideo),
    lost: sum(video?.packetsLost ?? null, audio?.packetsLost ?? null),
    dropped: video?.framesDropped ?? null,
    offset: offset(audio, video),
    size: video?.frameWidth === undefined ? null : pictureSize(video.frameWidth, video.frameHeight),
    codec: codec(now, video),
  };
}

/**
 * The picture that is seen: of a packed one, the half.
 * @param {number} width
 * @param {number} [height]
 * @returns {string}
 */
function pictureSize(width, height) {
  return `${width} × ${height === 2 * width ? width : height}`;
}

/**
 * @param {RTCStatsReport} report
 * @param {"audio" | "video"} kind
 * @returns {RTCInboundRtpStreamStats | null}
 */
function inbound(report, kind) {
  for (const entry of report.values()) {
    if (entry.type === "inbound-rtp" && entry.kind === kind) return entry;
  }
  return null;
}

/**
 * Growth of a counter per second.
 * @param {RTCInboundRtpStreamStats | null} now
 * @param {RTCInboundRtpStreamStats | null} before
 * @param {"framesDecoded" | "bytesReceived"} counter
 * @returns {number | null}
 */
function rate(now, before, counter) {
  const later = now?.[counter];
  const earlier = before?.[counter];
  if (!now || !before || later === undefined || earlier === undefined) return null;
  const seconds = (now.timestamp - before.timestamp) / 1000;
  return seconds > 0 && later >= earlier ? (later - earlier) / seconds : null;
}

/**
 * @param {RTCInboundRtpStreamStats | null} now
 * @param {RTCInboundRtpStreamStats | null} before
 * @returns {number | null}
 */
function kilobits(now, before) {
  const bytes = rate(now, before, "bytesReceived");
  return bytes === null ? null : (bytes * 8) / 1000;
}

/**
 * @param {RTCInboundRtpStreamStats | null} now
 * @param {RTCInboundRtpStreamStats | null} before
 * @returns {number | null}
 */
function buffered(now, before) {
  const frames = (now?.jitterBufferEmittedCount ?? 0) - (before?.jitterBufferEmittedCount ?? 0);
  const seconds = (now?.jitterBufferDelay ?? 0) - (before?.jitterBufferDelay ?? 0);
  return frames > 0 ? (seconds / frames) * 1000 : null;
}

/**
 * Both estimates are on the sender's clock: the difference is what the eye and the ear notice.
 * @param {RTCInboundRtpStreamStats | null} audio
 * @param {RTCInboundRtpStreamStats | null} video
 * @returns {number | null}
 */
function offset(audio, video) {
  const heard = audio?.estimatedPlayoutTimestamp;
  const seen = video?.estimatedPlayoutTimestamp;
  return heard === undefined || seen === undefined ? null : heard - seen;
}

/**
 * @param {RTCStatsReport} report
 * @param {RTCInboundRtpStreamStats | null} video
 * @returns {string | null}
 */
function codec(report, video) {
  const entry = video?.codecId === undefined ? undefined : report.get(video.codecId);
  return entry === undefined ? null : String(entry.mimeType).replace("video/", "");
}

/**
 * @param {number | null} one
 * @param {number | null} other
 * @returns {number | null}
 */
function sum(one, other) {
  return one === null && other === null ? null : (one ?? 0) + (other ?? 0);
}
