/**
 * What a mode of the page is, and what the page gives it. Types alone.
 *
 * A mode called NAME is three files in this folder, fetched when it is first chosen: NAME.html, its
 * part of the panel, with ids that begin with NAME or are unique in the page; NAME.css; and NAME.js,
 * which exports its class. The markup is in `page.panel` when the class is constructed.
 */

/** @import { Captions } from "../captions.js" */
/** @import { Connection, Phase } from "../connection.js" */
/** @import { Microphone } from "../microphone.js" */
/** @import { Preference } from "../preferences.js" */
/** @import { Info, ServerMessage } from "../protocol.js" */
/** @import { Speech } from "../speech.js" */
/** @import { Voices } from "../voices.js" */

/** @typedef {"present" | "converse" | "puppet"} ModeName */

/**
 * One use of the page. After its construction it is told the phase that is and the latest
 * `session.ready`, then entered. From then on it is told everything, also while another mode is shown.
 * @typedef {object} Mode
 * @property {() => void} enter it is shown: take up the microphone's use, the brain, the keys
 * @property {() => void} leave another mode is shown: give them back
 * @property {(phase: Phase) => void} onPhase
 * @property {(message: ServerMessage) => void} onMessage every message of the session
 */

/**
 * @typedef {object} Page
 * @property {Connection} connection `send`, `request`, `session`; see there
 * @property {Speech} speech the line to say at once
 * @property {Voices} voices
 * @property {Microphone} microphone
 * @property {Captions} captions
 * @property {HTMLElement} panel the mode's own part of the panel
 * @property {() => Info | null} info what the server said of itself, null before it was reached
 * @property {(message: string, options?: {isFault?: boolean}) => void} notify
 * @property {(message: string) => void} announce tells screen readers alone
 * @property {(name: Preference) => string | null} recall
 * @property {(name: Preference, value: string) => void} remember
 */

export {};
