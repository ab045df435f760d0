/**
 * Wires the page together: what the visitor does goes to the connection, what the server says
 * goes to the parts that show it.
 */

import { getInfo, getPortraits, getVoices, portraitImage } from "./api.js";
import { Captions } from "./captions.js";
import { Connection } from "./connection.js";
import { byId } from "./dom.js";
import { Modes } from "./modes.js";
import { announce, notify } from "./notices.js";
import { Portraits } from "./portraits.js";
import { forget, recall, remember } from "./preferences.js";
import { Speech } from "./speech.js";
import { Stage } from "./stage.js";
import { Status } from "./status.js";
import { Voices } from "./voices.js";
import { explain, explainEnd, explainWait } from "./words.js";

/** @import { Phase } from "./connection.js" */
/** @import { Furnishing } from "./furnishing.js" */
/** @import { Choice, Info, Portrait, ServerMessage, SessionReady } from "./protocol.js" */

const stage = new Stage();
const captions = new Captions();
const speech = new Speech();
const voices = new Voices();
const portraits = new Portraits();
const connection = new Connection({ prepare, onPhase, onMessage }, { channel: true });
const status = new Status(connection);
/** What the server said of itself. @type {Info | null} */
let info = null;
/** What it says of this session. @type {SessionReady | null} */
let ready = null;
/** What comes after the first picture, once it is there. @type {Furnishing | null} */
let furnishing = null;
const modes = new Modes(async () => {
  const { microphone } = furnishing ?? (await furnish());
  const shared = { connection, speech, voices, microphone, captions, notify, announce, recall, remember };
  return { ...shared, info: () => info };
});

/** Why a session ended that nobody refused. */
const ENDS = new Set(["shutdown", "lost", "failed"]);

/** Whether portraits and voices must be asked for again before the next session. */
let isStale = true;

/** Pictures a second that the server makes when it is not overloaded. */
let fullRate = 0;

/** Whether the session ends unless somebody shows that they are there. */
let isExpiring = false;

stage.onRetry = () => connection.retry();
stage.onUnable = () => notify("This browser has no WebGL, so the background cannot be transparent.");
portraits.onChoose = choosePortrait;
portraits.onRename = showPortrait;
voices.onChoose = chooseVoice;
speech.onSpeak = speak;
speech.onInterrupt = () => connection.interrupt();

for (const act of ["pointerdown", "keydown"]) {
  addEventListener(act, () => {
    if (isExpiring) connection.send({ type: "session.keep_alive" });
    isExpiring = false;
  });
}
addEventListener("online", () => connection.retry());
addEventListener("pagehide", () => connection.stop());
addEventListener("pageshow", (event) => {
  // a page that comes back from the browser's cache has no session any more
  if (event.persisted) location.reload();
});
byId("skip", HTMLAnchorElement).addEventListener("click", (event) => {
  event.preventDefault(); // the address tells the mode
  byId("panel", HTMLElement).focus();
});
connection.start();
modes.start();

/**
 * Fetches what the first picture did not need.
 * @returns {Promise<Furnishing>}
 */
async function furnish() {
  const { Furnishing } = await import("./furnishing.js");
  furnishing = await Furnishing.load(connection, portraits);
  if (info !== null) furnishing.list(info);
  if (ready !== null) furnishing.onMessage(ready);
  return furnishing;
}

/**
 * Asks for portraits and voices where needed, and says which to open.
 * @returns {Promise<Choice>}
 */
async function prepare() {
  if (isStale) {
    const [told, everyPortrait, everyVoice] = await Promise.all([getInfo(), getPortraits(), getVoices()]);
    info = told;
    furnishing?.list(told);
    portraits.list(everyPortrait, [portraits.chosen?.id ?? null, recall("portrait"), info.default_portrait]);
    voices.list(everyVoice, [voices.chosen, recall("voice"), info.default_voice]);
    status.setVersion(`Vivant ${info.version}`);
    isStale = false;
  }
  const portrait = portraits.chosen;
  const voice = voices.chosen;
  const background = recall("background");
  if (portrait) showPortrait(portrait);
  return {
    ...(portrait && { portrait: portrait.id }),
    ...(voice && { voice }),
    ...(background && { background }),
    style: JSON.parse(recall("style") ?? "{}"),
  };
}

/** @param {Phase} phase */
function onPhase(phase) {
  const isReturning = document.body.dataset["phase"] !== "connecting";
  const isFull = phase.name === "waiting" && phase.code === "capacity";
  status.setPhase(phase.name, isFull ? "Waiting for a place" : undefined);
  modes.onPhase(phase);
  if (phase.name === "live") {
    stage.show(phase.stream);
    connection.seenIn(stage.video);
    announce("The portrait is live.");
    return;
  }
  stage.clear();
  captions.clear();
  speech.setState("idle");
  if (phase.name === "queued") {
    const words = explainWait(phase.position, phase.seconds);
    stage.showVeil(words);
    announce(`${words.title}. ${words.message}`);
  }
  if (phase.name === "waiting") {
    // a refused portrait or voice is gone from the server: ask what there is
    isStale = !isFull;
    if (phase.code === "bad_request") forgetStyle();
    if (phase.code === "not_found" || phase.code === "unknown_background") forgetBackground();
    const isRefused = phase.code !== null && !ENDS.has(phase.code);
    const title = isFull ? "Every place is taken" : isRefused ? "Not possible just now" : "No connection";
    const message = isFull ? "Others are with the portrait just now." : phase.message;
    stage.showVeil({ title, message, action: "Try now", seconds: phase.seconds });
    announce(`${title}. ${message}`);
  }
  if (phase.name === "closed" && phase.code === "unauthorized") {
    stage.hideVeil();
    import("./login.js")
      .then(({ logIn }) => logIn("key"))
      .then(() => connection.retry())
      .catch((error) => stage.showVeil({ title: "No connection", message: explain(error), action: "Try now" }));
    return;
  }
  if (phase.name === "closed") {
    stage.showVeil({ title: "At rest", message: phase.message, action: "Wake the portrait" });
    announce(phase.message);
  }
  if (phase.name === "connecting" && !isReturning) stage.hideVeil();
}

/** @param {ServerMessage} message */
function onMessage(message) {
  modes.onMessage(message);
  furnishing?.onMessage(message);
  switch (message.type) {
    case "session.ready":
      ready = message;
      fullRate = message.fps;
      void stage.expect(message.layout);
      portraits.mark(message.portrait);
      voices.mark(message.voice);
      break;
    case "session.state_updated":
      speech.setState(message.state);
      break;
    case "agent.speak_started":
      speech.setState("speaking");
      break;
    case "agent.speak_ended":
      captions.end({ isInterrupted: message.interrupted });
      speech.giveUp();
      break;
    case "subtitle.delta":
      captions.add(message.utterance, message.text);
      break;
    case "metrics":
      status.setMetrics(message);
      break;
    case "warning":
      notify(message.message);
      break;
    case "session.rate_updated":
      if (message.fps < fullRate) notify("The server is busy: it draws fewer pictures for now.");
      break;
    case "session.expiring":
      isExpiring = message.seconds !== null && message.reason === "idle";
      if (message.seconds !== null) notify(explainEnd(message.reason, message.seconds));
      break;
    case "error":
      speech.giveUp();
      notify(message.message, { isFault: true });
      break;
  }
}

/**
 * @param {string} text
 * @returns {boolean} whether it went out
 */
function speak(text) {
  const voice = voices.chosen;
  const isSent = connection.send({ type: "speak", text, ...(voice && { voice }) });
  if (!isSent) notify("Not connected yet: the text is kept.", { isFault: true });
  else if (document.body.dataset["speech"] !== "speaking") speech.setState("preparing");
  return isSent;
}

/** @param {Portrait} portrait */
async function choosePortrait(portrait) {
  try {
    await connection.update({ portrait: portrait.id });
  } catch (error) {
    notify(explain(error), { isFault: true });
    throw error;
  }
  remember("portrait", portrait.id);
  showPortrait(portrait);
}

/** @param {string} name */
async function chooseVoice(name) {
  remember("voice", name);
  try {
    await connection.update({ voice: name });
  } catch (error) {
    notify(explain(error), { isFault: true });
  }
}

/** A style that the server refuses must not stand in the way of the next session. */
function forgetStyle() {
  forget("style");
  furnishing?.forgetStyle();
}

/** A picture that the server no longer keeps must not stand in the way of the next session. */
function forgetBackground() {
  forget("background");
  furnishing?.forgetBackground();
}

/** @param {Portrait} portrait */
function showPortrait(portrait) {
  stage.showStill(portraitImage(portrait.id), portrait.name);
}
