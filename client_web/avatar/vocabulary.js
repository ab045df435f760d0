/**
 * The names of the element's events: each carries one message of docs/protocol.md as its `detail`.
 */

/** @import { ServerMessage } from "../protocol.js" */

/** @type {Partial<Record<ServerMessage["type"], string>>} */
export const EVENTS = {
  "session.queued": "vivant-queued",
  "session.ready": "vivant-ready",
  "session.state_updated": "vivant-state",
  "session.expiring": "vivant-expiring",
  "session.closed": "vivant-closed",
  "agent.speak_started": "vivant-speak-started",
  "agent.speak_ended": "vivant-speak-ended",
  "agent.reply.delta": "vivant-reply",
  "subtitle.delta": "vivant-caption",
  "user.transcript": "vivant-transcript",
  "user.speech_started": "vivant-user-speech-started",
  "user.speech_stopped": "vivant-user-speech-stopped",
  "brain.tool_call": "vivant-tool-call",
  "brain.failed": "vivant-error",
  warning: "vivant-warning",
  error: "vivant-error",
};
