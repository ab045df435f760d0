/**
 * Mode Present: beside the line to say at once, a script that the portrait reads. What the visitor
 * writes goes to the session's script, and what the server says of it is shown.
 */

import { byId } from "../dom.js";
import { explain } from "../words.js";
import { SessionScript } from "./script.js";
import { ScriptEditor } from "./script_editor.js";
import { mayBeScript, readFiles, UnfitFileError } from "./script_files.js";
import { isSubtitles, marksIn, rangesOf, sentenceAt } from "./script_text.js";
import { ScriptView } from "./script_view.js";

/** @import { Mode, Page } from "./mode.js" */
/** @import { Phase } from "../connection.js" */
/** @import { Script, ScriptFormat, ServerMessage } from "../protocol.js" */

/** After the last key, the server is asked what it thinks of the text; in milliseconds. */
const PAUSE = 500;

/** @implements {Mode} */
export class PresentMode {
  #page;
  #script;
  #editor = new ScriptEditor();
  #view;
  #format = byId("script-format", HTMLSelectElement);
  #files = byId("script-file", HTMLInputElement);
  /** The text that the server was given or has told. */
  #known = "";
  #knownFormat = "";
  /** The name of the recording that is read, null where a text is. @type {string | null} */
  #recording = null;
  #isEntered = false;
  /** The text on its way to the server. @type {Promise<void> | null} */
  #giving = null;
  #isLive = false;
  /** Whether a recording is on its way. */
  #isBringing = false;
  #timer = 0;
  /** The script that was last looked at. @type {Script | null} */
  #seen = null;
  #sessionId = "";

  /** @param {Page} page */
  constructor(page) {
    this.#page = page;
    this.#script = new SessionScript(page.connection);
    this.#script.onChange = () => this.#onScript();
    this.#view = new ScriptView(page.info, (mark) => this.#editor.insert(mark));
    this.#editor.text = page.recall("script") ?? "";
    this.#format.value = page.recall("script-format") ?? "markdown";
    this.#listen();
    this.#show();
  }

  #listen() {
    this.#editor.onInput = () => this.#onInput();
    this.#editor.onEnter = () => void this.#attempt(() => this.#readFromCaret());
    this.#format.addEventListener("change", () => this.#onInput());
    this.#view.onPlay = () => void this.#attempt(() => this.#toggle());
    this.#view.onPauseAtEnd = () => void this.#attempt(() => this.#script.pause("sentence_end"));
    this.#view.onRestart = () => void this.#attempt(() => this.#play(0));
    this.#view.onApply = () => void this.#attempt(() => this.#give());
    this.#view.onSentence = (index) => void this.#attempt(() => this.#script.seek(index));
    this.#view.onFault = (start, end) => this.#editor.select(start, end);
    this.#view.onRemove = () => void this.#attempt(() => this.#removeRecording());
    byId("script-open", HTMLButtonElement).addEventListener("click", () => this.#files.click());
    this.#files.addEventListener("change", () => {
      const files = [...(this.#files.files ?? [])];
      this.#files.value = ""; // the same file can be chosen again after a refusal
      if (files.length > 0) void this.#attempt(() => this.#bring(files));
    });
    // before the picture's own listener: files that are no pictures are scripts in this mode
    for (const kind of /** @type {const} */ (["dragover", "drop"])) {
      document.addEventListener(kind, (event) => this.#onDrag(event), { capture: true });
    }
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) this.#view.showDrop(false);
    });
  }

  enter() {
    this.#isEntered = true;
    this.#page.microphone.setUse("puppet");
  }

  leave() {
    this.#isEntered = false;
  }

  /** @param {Phase} phase */
  onPhase(phase) {
    this.#isLive = phase.name === "live";
    if (this.#isLive) this.#checkSoon();
    this.#show();
  }

  /** @param {ServerMessage} message */
  onMessage(message) {
    if (message.type === "session.ready" && message.session_id !== this.#sessionId) {
      this.#sessionId = message.session_id;
      this.#known = "";
      this.#recording = null;
      this.#script.reset();
    }
    this.#script.onMessage(message);
  }

  /** Whether the server has another text than the visitor sees. */
  get #isChanged() {
    if (this.#recording !== null) return false;
    return this.#editor.text !== this.#known || (this.#known !== "" && this.#format.value !== this.#knownFormat);
  }

  #onInput() {
    const { text } = this.#editor;
    if (isSubtitles(text)) this.#format.value = "srt";
    else if (this.#format.value === "srt") this.#format.value = "markdown";
    this.#page.remember("script", text);
    this.#page.remember("script-format", this.#format.value);
    this.#checkSoon();
    this.#show();
  }

  /** Lets the server look at the text, unless it is being read: then the visitor says when. */
  #checkSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const isAsked = this.#isLive && this.#isChanged && !this.#script.isBusy && !this.#isBringing;
      if (isAsked) void this.#attempt(() => this.#give());
    }, PAUSE);
  }

  /** Gives the server the text as it is now, unless it has it. */
  async #give() {
    clearTimeout(this.#timer);
    if (this.#isChanged) this.#giving = this.#put();
    await this.#giving; // perhaps the timer's, whose answer tells the sentences
  }

  async #put() {
    this.#known = this.#editor.text;
    this.#knownFormat = this.#format.value;
    try {
      await this.#script.put(this.#known, /** @type {ScriptFormat} */ (this.#knownFormat));
    } catch (error) {
      this.#known = this.#script.script?.text ?? "";
      throw error;
    } finally {
      this.#giving = null;
    }
  }

  async #toggle() {
    if (this.#script.isBusy) await this.#script.pause("now");
    else await this.#play();
  }

  /** @param {number} [sentence] where it is, without */
  async #play(sentence) {
    if (this.#recording === null && this.#editor.text.trim() === "") {
      this.#editor.select(0, 0);
      return;
    }
    await this.#give();
    if (this.#script.script?.sentences.length === 0) {
      this.#page.notify("There is nothing in the script that can be said.", { isFault: true });
      return;
    }
    await this.#script.play(sentence);
    if (document.body.dataset["speech"] === "idle") this.#page.speech.setState("preparing");
  }

  async #readFromCaret() {
    if (this.#script.isBusy && this.#isChanged) {
      await this.#give();
      return;
    }
    await this.#give();
    const { script } = this.#script;
    const sentence = script === null ? null : sentenceAt(script, this.#editor.place);
    await this.#play(sentence ?? 0);
  }

  /** @param {File[]} files */
  async #bring(files) {
    const brought = await readFiles(files);
    if (brought.kind === "text") {
      this.#recording = null;
      this.#editor.text = brought.text;
      this.#format.value = brought.format;
      this.#onInput();
      await this.#give();
      return;
    }
    clearTimeout(this.#timer);
    this.#isBringing = true;
    this.#view.showBusy(`Listening to ${brought.audio.name}…`);
    try {
      await this.#script.putRecording(brought.audio, brought.captions);
      this.#recording = brought.audio.name;
    } finally {
      this.#isBringing = false;
      this.#view.showBusy(null);
      this.#show();
    }
  }

  async #removeRecording() {
    this.#recording = null;
    await this.#put();
  }

  /** @param {DragEvent} event */
  #onDrag(event) {
    if (!this.#isEntered || !mayBeScript(event.dataTransfer)) return;
    event.preventDefault();
    event.stopPropagation();
    this.#view.showDrop(event.type === "dragover");
    const files = [...(event.dataTransfer?.files ?? [])];
    if (event.type === "drop") void this.#attempt(() => this.#bring(files));
  }

  #onScript() {
    const { script } = this.#script;
    const isForeign = script !== null && script !== this.#seen && script.text !== this.#known && !this.#isBringing;
    this.#seen = script;
    if (isForeign && script.format === "audio") this.#recording ??= "Recorded speech";
    else if (isForeign && !this.#isChanged) {
      // somebody else gave the session a script, and nothing of the visitor's is lost
      this.#editor.text = this.#known = script.text;
      this.#format.value = this.#knownFormat = script.format;
    }
    this.#show();
  }

  #show() {
    const { script, sentence, state } = this.#script;
    const hasBegun = state !== "empty" && state !== "ready";
    const now = hasBegun && state !== "ended" ? sentence : null;
    const isChanged = this.#isChanged;
    const isShown = script !== null && !isChanged && script.text === this.#editor.text;
    const recording = this.#recording;
    this.#editor.show(isShown ? rangesOf(script, now) : marksIn(this.#editor.text));
    this.#editor.reveal();
    this.#view.show({ script, state, now, recording, isChanged, isShown, isLive: this.#isLive });
  }

  /**
   * Does something that may be refused, and says so.
   * @param {() => Promise<void>} act
   */
  async #attempt(act) {
    try {
      await act();
    } catch (error) {
      this.#page.notify(error instanceof UnfitFileError ? error.message : explain(error), { isFault: true });
    }
  }
}
