/**
 * The browser's own recogniser of speech, for servers that understand none. Knows no element.
 */

/**
 * What is used of SpeechRecognition, which TypeScript's library does not describe.
 * @typedef {object} Recognition
 * @property {boolean} continuous
 * @property {boolean} interimResults
 * @property {string} lang
 * @property {() => void} start
 * @property {() => void} stop
 * @property {() => void} abort
 * @property {((event: {resultIndex: number, results: ArrayLike<ArrayLike<{transcript: string}> & {isFinal: boolean}>}) => void) | null} onresult
 * @property {((event: {error: string}) => void) | null} onerror
 * @property {(() => void) | null} onend
 */

/** @type {(new () => Recognition) | undefined} */
const Native = Reflect.get(window, "SpeechRecognition") ?? Reflect.get(window, "webkitSpeechRecognition");

/** Whether this browser has one. */
export const CAN_RECOGNISE = Native !== undefined;

/** What is no fault: nobody spoke, or it was ended from here. */
const QUIET = new Set(["no-speech", "aborted"]);

/** @type {Record<string, string>} */
const FAULTS = {
  "not-allowed": "This browser may not turn speech into text here. Allow the microphone for this page, or type.",
  "service-not-allowed": "This browser turns no speech into text here. Type instead.",
  "audio-capture": "The browser's recogniser found no microphone. Connect one, or type.",
  network: "The browser's recogniser did not reach its service. Type instead, or try again later.",
  "language-not-supported": "The browser's recogniser does not know this language. Type instead.",
};

export class Recogniser {
  /** Called with what was said, sentence by sentence. @type {(text: string) => void} */
  onText = () => {};

  /** Called with what is being said and may yet change; empty when that is over. @type {(text: string) => void} */
  onGuess = () => {};

  /** Called with a sentence; it does not go on by itself then. @type {(message: string) => void} */
  onFault = () => {};

  /** @type {Recognition | null} */
  #running = null;
  #isWanted = false;

  /** Listens until `stop`, also beyond the browser's own idea of an end. */
  start() {
    this.#isWanted = true;
    if (this.#running === null) this.#run();
  }

  /** Listens no more; what was said until now is still told. */
  stop() {
    this.#isWanted = false;
    this.#running?.stop();
  }

  /** Listens no more, and forgets what was said. */
  abort() {
    this.#isWanted = false;
    this.#running?.abort();
  }

  #run() {
    if (Native === undefined) return;
    const recognition = new Native();
    recognition.continuous = recognition.interimResults = true;
    recognition.lang = "en-US"; // as the voices speak
    recognition.onresult = ({ resultIndex, results }) => {
      let guess = "";
      for (const result of Array.from(results).slice(resultIndex)) {
        const text = result[0]?.transcript.trim() ?? "";
        if (result.isFinal && text !== "") this.onText(text);
        else guess = `${guess} ${text}`.trim();
      }
      this.onGuess(guess);
    };
    recognition.onerror = ({ error }) => {
      if (QUIET.has(error)) return;
      this.#isWanted = false;
      this.onFault(FAULTS[error] ?? `The browser's recogniser failed (${error}). Type instead.`);
    };
    recognition.onend = () => {
      this.#running = null;
      this.onGuess("");
      if (this.#isWanted) this.#run();
    };
    this.#running = recognition;
    recognition.start();
  }
}
