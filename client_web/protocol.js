/**
 * The words spoken between page and server, as types. Stands beside docs/protocol.md. Only the type
 * check reads it: no module may import it but in a comment.
 */

/**
 * @typedef {object} Info
 * @property {string} version
 * @property {number} fps
 * @property {number} size
 * @property {string} default_voice
 * @property {string} default_portrait
 * @property {string} default_background
 * @property {string[]} emotions
 * @property {string[]} gestures
 * @property {number} max_sessions
 * @property {number} sessions
 * @property {RTCIceServer[]} ice_servers
 * @property {"demo" | "chat" | "external" | "off"} brain who answers where a session names none
 * @property {boolean} transcribes whether the server understands speech
 */

/** @typedef {{name: string, engine: string, language: string, label: string, default: boolean}} Voice */

/** @typedef {{id: string, name: string, builtin: boolean, warnings: string[], kept: boolean, notices: string[]}} Portrait */

/** How the video carries the picture. @typedef {"plain" | "packed"} Layout */

/**
 * A new session; with `position` (and `wait_s`, if known) it waits in line for its place.
 * @typedef {{session_id: string, token: string, expires_in?: number, ice_servers: RTCIceServer[], fps: number, size: number, background: string, layout: Layout, position?: number, wait_s?: number | null}} Session
 */

/**
 * How a portrait moves; what is left out stays as it is.
 * @typedef {object} Style
 * @property {string} [emotion]
 * @property {number} [intensity]
 * @property {number} [head_motion]
 * @property {number} [expressiveness]
 * @property {string | [number, number]} [gaze]
 */

/** @typedef {{portrait?: string, voice?: string, background?: string, style?: Style, mode?: "present" | "converse"}} Choice */

/** @typedef {"idle" | "listening" | "thinking" | "speaking"} SpeechState */

/** What a visitor's voice is for. @typedef {"puppet" | "listen"} MicrophoneUse */

/** How a visitor said something. @typedef {"text" | "voice"} Source */

/** Who answers in a conversation, and how. @typedef {{brain: "demo" | "chat" | "external" | "off", model: string | null, prompt: string, fallback: string}} Brain */

/** @typedef {{call_id: string, name: string, arguments: string, result: string | null}} ToolCall */

/**
 * One side's part of a turn; of the portrait's words those that were heard.
 * @typedef {{role: "user", turn: number, text: string, source: Source}
 *   | {role: "assistant", turn: number, text: string, content: string, utterance: number | null, interrupted: boolean, pending: boolean, fallback: boolean, tool_calls: ToolCall[]}} HistoryEntry
 */

/** @typedef {"empty" | "ready" | "playing" | "pausing" | "paused" | "ended"} ScriptState */

/** @typedef {"text" | "markdown" | "srt" | "audio"} ScriptFormat */

/**
 * One sentence of a script; `start` and `end` count Unicode code points of its text.
 * @typedef {object} Sentence
 * @property {number} start
 * @property {number} end
 * @property {string} text what is said
 * @property {number | null} not_before_ms
 * @property {[number, number] | null} recorded_ms
 * @property {ScriptMark[]} marks
 */

/** A mark in a sentence; `at` counts characters of what is said. @typedef {{type: string, at: number, start: number, end: number}} ScriptMark */

/** What is wrong with a script, counted from 1. @typedef {{line: number, column: number, message: string}} ScriptWarning */

/**
 * @typedef {object} Script
 * @property {ScriptState} state
 * @property {number} revision rises with every change of the text
 * @property {number | null} sentence
 * @property {ScriptFormat} format
 * @property {string} text
 * @property {Sentence[]} sentences
 * @property {ScriptWarning[]} warnings
 */

/** @typedef {"client" | "idle" | "time" | "lost" | "revoked" | "shutdown" | "failed"} CloseReason */

/**
 * @typedef {object} Metrics
 * @property {"metrics"} type
 * @property {number | null} [fps]
 * @property {number | null} [render_ms]
 * @property {number | null} [latency_ms]
 * @property {number | null} [late_frames]
 * @property {number | null} [bitrate_kbps]
 */

/** @typedef {{type: "session.ready", session_id: string, fps: number, size: number, portrait: string, voice: string, background: string, layout: Layout, style: Style}} SessionReady */

/**
 * @typedef {({type: "session.queued", position: number, wait_s: number | null}
 *   | SessionReady
 *   | {type: "events.attached", seq: number, missed: number, lost: number | null}
 *   | {type: "session.resumed", utterance: number | null, from_character: number, repeated_characters: number, lost: number[], sentence: number | null, outputs: string[], recordings: string[], continued: string[]}
 *   | {type: "ai_disclosure", media: ("audio" | "video")[], badge: string | null, watermark: string | null}
 *   | {type: "media.origin", picture: number, sound: number}
 *   | {type: "session.state_updated", state: SpeechState, media_time: number}
 *   | {type: "agent.speak_started", utterance: number, media_time: number}
 *   | {type: "agent.speak_ended", utterance: number, media_time: number, spoken_ms: number, spoken_characters: number | null, interrupted: boolean}
 *   | {type: "agent.reply.delta", utterance: number, text: string}
 *   | {type: "user.transcript", turn: number, text: string, source: Source}
 *   | {type: "brain.tool_call", call_id: string, name: string, arguments: string}
 *   | {type: "brain.failed", code: string, message: string, retry_after_s: number | null}
 *   | {type: "script.updated", state: ScriptState, revision: number, sentence: number | null, sentences: number, warnings: number, media_time: number}
 *   | {type: "script.position", sentence: number, start: number, end: number, media_time: number}
 *   | {type: "recording.updated", recording: string, state: "waiting" | "recording" | "closed" | "failed", reason: string | null, seconds: number, bytes: number}
 *   | {type: "output.updated", output: string, url: string, state: "connecting" | "live" | "retrying" | "failed" | "closed", message: string | null, retry_s: number | null}
 *   | {type: "subtitle.delta", utterance: number, text: string, media_time: number}
 *   | {type: "user.speech_started", media_time: number}
 *   | {type: "user.speech_stopped", media_time: number}
 *   | {type: "warning", code: string, message: string}
 *   | {type: "error", code: string, message: string}
 *   | {type: "session.rate_updated", fps: number, media_time: number}
 *   | {type: "session.expiring", reason: CloseReason, seconds: number | null}
 *   | Metrics
 *   | {type: "pong", t: number}
 *   | {type: "session.closed", reason: CloseReason}) & {seq?: number}} ServerMessage
 */

/**
 * @typedef {{type: "speak", text: string, voice?: string}
 *   | {type: "speak.start", voice?: string, style?: Style}
 *   | {type: "speak.delta", text: string}
 *   | {type: "speak.end"}
 *   | {type: "interrupt"}
 *   | {type: "microphone", mode: MicrophoneUse | "off", barge_in?: "on" | "off" | number}
 *   | {type: "user.text", text: string, source?: Source}
 *   | {type: "session.keep_alive"}
 *   | {type: "gesture", name: string}
 *   | {type: "motion", coefficients: Record<string, number>, mode?: "add" | "replace", weight?: number, t?: number}
 *   | {type: "motion.configure", parts?: Record<string, "add" | "replace" | "off">, smoothing?: number}
 *   | {type: "motion.calibrate", reset?: boolean}
 *   | {type: "ping", t: number}} ClientMessage
 */

export {};
