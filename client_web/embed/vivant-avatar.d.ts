/** `<vivant-avatar>`, a portrait that speaks; docs/embed.md of Vivant tells how to use it. */

export type Mode = "present" | "converse" | "puppet";
export type Phase = "idle" | "connecting" | "queued" | "live" | "waiting" | "closed";
export type SpeechState = "idle" | "listening" | "thinking" | "speaking";

/** How a portrait moves; what is left out stays as it is. */
export interface Style {
  emotion?: string;
  intensity?: number;
  head_motion?: number;
  expressiveness?: number;
  gaze?: string | [number, number];
}

export interface Choice {
  portrait?: string;
  voice?: string;
  background?: string;
  style?: Style;
}

/** The server said no, or it is too late; `code` is one of docs/protocol.md. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  /** Seconds. */
  readonly retryAfter: number | null;
}

/** No answer came. */
export class NetworkError extends Error {}

export class VivantAvatar extends HTMLElement {
  sessionUrl: string;
  mode: Mode;
  portrait: string;
  voice: string;
  background: string;
  muted: boolean;
  captions: boolean;
  autoplay: boolean;
  /** A session's token, where the server takes one; no attribute. */
  token: string | null;
  readonly phase: Phase;
  readonly state: SpeechState;
  readonly sessionId: string | null;
  readonly microphone: boolean;
  start(): Promise<void>;
  close(): void;
  speak(text: string | AsyncIterable<string>, options?: { voice?: string; style?: Style }): Promise<number | undefined>;
  say(text: string): Promise<number>;
  interrupt(): void;
  gesture(name: string, options?: { strength?: number; duration?: number; mode?: "add" | "replace" }): Promise<number>;
  update(choice: Choice): Promise<void>;
  motion(coefficients: Record<string, number>, options?: { mode?: "add" | "replace"; weight?: number; t?: number }): boolean;
  send(message: { type: string; [field: string]: unknown }): boolean;
  startMicrophone(): Promise<void>;
  stopMicrophone(): Promise<void>;
}

/** A message of docs/protocol.md. */
export interface Message {
  type: string;
  [field: string]: unknown;
}

export interface VivantEvents {
  "vivant-phase": CustomEvent<{ type: "phase"; phase: Phase; message?: string; code?: string | null; position?: number; seconds?: number | null }>;
  "vivant-queued": CustomEvent<{ type: "session.queued"; position: number; wait_s: number | null }>;
  "vivant-ready": CustomEvent<{ type: "session.ready"; session_id: string; fps: number; size: number; portrait: string; voice: string; background: string; layout: "plain" | "packed"; style: Style }>;
  "vivant-state": CustomEvent<{ type: "session.state_updated"; state: SpeechState; media_time: number }>;
  "vivant-expiring": CustomEvent<{ type: "session.expiring"; reason: string; seconds: number | null }>;
  "vivant-closed": CustomEvent<{ type: "session.closed"; reason: string }>;
  "vivant-speak-started": CustomEvent<{ type: "agent.speak_started"; utterance: number; media_time: number }>;
  "vivant-speak-ended": CustomEvent<{ type: "agent.speak_ended"; utterance: number; media_time: number; spoken_ms: number; spoken_characters: number | null; interrupted: boolean }>;
  "vivant-reply": CustomEvent<{ type: "agent.reply.delta"; utterance: number; text: string }>;
  "vivant-caption": CustomEvent<{ type: "subtitle.delta"; utterance: number; text: string; media_time: number }>;
  "vivant-transcript": CustomEvent<{ type: "user.transcript"; turn: number; text: string; source: "text" | "voice" }>;
  "vivant-user-speech-started": CustomEvent<{ type: "user.speech_started"; media_time: number }>;
  "vivant-user-speech-stopped": CustomEvent<{ type: "user.speech_stopped"; media_time: number }>;
  "vivant-tool-call": CustomEvent<{ type: "brain.tool_call"; call_id: string; name: string; arguments: string }>;
  "vivant-warning": CustomEvent<{ type: "warning"; code: string; message: string }>;
  "vivant-error": CustomEvent<{ type: "error" | "brain.failed"; code: string; message: string }>;
  "vivant-message": CustomEvent<Message>;
}

declare global {
  interface HTMLElementTagNameMap {
    "vivant-avatar": VivantAvatar;
  }
  interface HTMLElementEventMap extends VivantEvents {}
}
