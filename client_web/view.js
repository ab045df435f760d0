/**
 * A session's picture and sound, full screen and without controls: for OBS's browser source, a
 * second screen or a shared tab. `?transparent` shows the person alone, `?muted` no sound. It
 * watches a session and never opens or ends one; while there is none it asks again.
 */

import { ApiError, getInfo, sendOffer, updateSession } from "./api.js";
import { Compositor } from "./compositor.js";
import { byId, setText } from "./dom.js";
import { Peer } from "./peer.js";
import { wait } from "./retry.js";
import { explain } from "./words.js";

/** @import { Layout } from "./protocol.js" */

/** Between two attempts to watch, in milliseconds. */
const PAUSE = 2_000;

const wishes = new URLSearchParams(location.search);
const isTransparent = wishes.has("transparent");
const sessionId = decodeURIComponent(location.pathname.split("/").filter(Boolean).at(-1) ?? "");
const video = byId("video", HTMLVideoElement);
const canvas = byId("canvas", HTMLCanvasElement);
const notice = byId("notice", HTMLElement);

if (isTransparent) document.body.dataset.transparent = "";

const compositor = new Compositor(video, canvas);
/** @param {Layout} layout */
compositor.onLayout = (layout) => {
  const isPacked = layout === "packed";
  canvas.hidden = !isPacked;
  video.hidden = isPacked;
};

/** Watches until the connection is over. */
async function watch() {
  const { ice_servers: iceServers } = await getInfo();
  if (isTransparent) await makeTransparent();
  const peer = new Peer(iceServers);
  try {
    await peer.open((sdp) => sendOffer({ session_id: sessionId }, sdp));
    video.srcObject = peer.stream;
    peer.seenIn(video);
    await play();
    document.body.dataset.phase = "live";
    setText(notice, "");
    await peer.ended;
  } finally {
    document.body.dataset.phase = "connecting";
    peer.close();
  }
}

/** Asks for the person alone; a token that only watches gets the session as it is. */
async function makeTransparent() {
  try {
    await updateSession(sessionId, { background: "transparent" });
  } catch (error) {
    if (!(error instanceof ApiError && error.code === "forbidden")) throw error;
    console.warn("The background stays: this token only watches.");
  }
}

/** Plays with sound where the browser lets a page do so (OBS does), else from the first click on. */
async function play() {
  video.muted = wishes.has("muted");
  try {
    await video.play();
  } catch {
    video.muted = true;
    await video.play();
    document.addEventListener("pointerdown", () => (video.muted = false), { once: true });
  }
}

/** @param {unknown} error why nothing is to be seen */
async function recover(error) {
  if (error instanceof ApiError && error.code === "unauthorized") {
    const { logIn } = await import("./login.js");
    await logIn("token", `v1/sessions/${encodeURIComponent(sessionId)}`);
    return;
  }
  const isGone = error instanceof ApiError && error.code === "not_found";
  setText(notice, isGone ? `There is no session '${sessionId}' now.` : explain(error));
}

for (;;) {
  await watch()
    .catch(recover)
    .catch((error) => setText(notice, explain(error)));
  await wait(PAUSE);
}
