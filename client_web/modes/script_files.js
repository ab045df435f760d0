/**
 * Files that become scripts: which kind each is, and which are refused before they travel.
 */

/** @import { ScriptFormat } from "../protocol.js" */

/** As the server has it. */
const MOST_CHARACTERS = 100_000;
const MOST_BYTES = 100_000_000;

/** @type {Record<string, ScriptFormat>} */
const FORMATS = { md: "markdown", markdown: "markdown", srt: "srt" };

/**
 * @typedef {{kind: "text", text: string, format: ScriptFormat}
 *   | {kind: "recording", audio: File, captions: File | null}} Brought
 */

/** A file that cannot be a script; the message says why. */
export class UnfitFileError extends Error {}

/**
 * Whether what is dragged over the page may become a script: anything but pictures.
 * @param {DataTransfer | null} transfer
 * @returns {boolean}
 */
export function mayBeScript(transfer) {
  const files = [...(transfer?.items ?? [])].filter(({ kind }) => kind === "file");
  return files.length > 0 && files.every(({ type }) => !type.startsWith("image/"));
}

/**
 * Reads what was brought: a text, or recorded speech with captions beside it. Throws an
 * UnfitFileError.
 * @param {File[]} files
 * @returns {Promise<Brought>}
 */
export async function readFiles(files) {
  const audio = files.find(isRecording);
  const text = files.find((file) => !isRecording(file));
  if (audio !== undefined) {
    if (audio.size > MOST_BYTES) {
      const megabytes = Math.ceil(audio.size / 1e6);
      throw new UnfitFileError(`${audio.name} has ${megabytes} MB. Recorded speech has at most ${MOST_BYTES / 1e6} MB.`);
    }
    if (text !== undefined && endingOf(text) !== "srt") {
      throw new UnfitFileError(`${text.name} is no SRT file: the captions of recorded speech are SRT files.`);
    }
    return { kind: "recording", audio, captions: text ?? null };
  }
  if (text === undefined) throw new UnfitFileError("No file was brought.");
  return { kind: "text", text: await readText(text), format: FORMATS[endingOf(text)] ?? "text" };
}

/**
 * @param {File} file
 * @returns {Promise<string>}
 */
async function readText(file) {
  if (file.size > 4 * MOST_CHARACTERS) throw tooLong(file, file.size);
  /** @type {string} */
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch (error) {
    throw new UnfitFileError(`${file.name} is not a text in UTF-8.`, { cause: error });
  }
  if (text.includes("\0")) throw new UnfitFileError(`${file.name} is not a text.`);
  if (text.length > MOST_CHARACTERS) throw tooLong(file, text.length);
  if (text.trim() === "") throw new UnfitFileError(`${file.name} is empty.`);
  return text.replaceAll("\r\n", "\n");
}

/**
 * @param {File} file
 * @param {number} characters
 */
function tooLong(file, characters) {
  const most = MOST_CHARACTERS.toLocaleString("en");
  return new UnfitFileError(`${file.name} has ${characters.toLocaleString("en")} characters; a script has at most ${most}.`);
}

/** @param {File} file */
const isRecording = ({ type }) => /^(audio|video)\//.test(type);

/** @param {File} file */
const endingOf = ({ name }) => name.slice(name.lastIndexOf(".") + 1).toLowerCase();
