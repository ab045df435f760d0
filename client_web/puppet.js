/**
 * The page on which a webcam and a microphone move the portrait: the camera's face goes to the
 * session frame by frame, the microphone's voice as on the main page.
 */

import { address } from "./api.js";
import { Connection } from "./connection.js";
import { explainDevice } from "./device_words.js";
import { byId, setText } from "./dom.js";
import { FaceTracker, MissingTrackerError } from "./face_tracker.js";

/** @import { Phase } from "./connection.js" */

/** Seconds of a face in sight after which it is taken for the neutral one. */
const SETTLING = 1;

/** How much a webcam's face is smoothed. */
const SMOOTHING = 0.5;

const video = byId("video", HTMLVideoElement);
const self = byId("self", HTMLVideoElement);
const state = byId("state", HTMLElement);
const fault = byId("fault", HTMLElement);
const cameraButton = byId("camera", HTMLButtonElement);
const microphoneButton = byId("microphone", HTMLButtonElement);
const neutralButton = byId("neutral", HTMLButtonElement);

/** @type {FaceTracker | null} */
let tracker = null;
/** @type {MediaStream | null} */
let camera = null;
/** @type {MediaStreamTrack | null} */
let microphone = null;

const connection = new Connection(
  {
    prepare: async () => ({}),
    onPhase: showPhase,
    onMessage: (message) => {
      if (message.type === "session.ready") {
        configure();
        const view = byId("view", HTMLAnchorElement);
        view.href = address(`view/${message.session_id}`).href;
        view.hidden = false;
      }
      if (message.type === "error") setText(fault, message.message);
    },
  },
  { channel: true },
);

/** @param {Phase} phase */
function showPhase(phase) {
  document.body.dataset["phase"] = phase.name;
  if (phase.name === "live") {
    video.srcObject = phase.stream;
    void video.play().catch(() => (video.muted = true));
  }
  const words = {
    connecting: "Connecting…",
    queued: "Waiting for a place…",
    live: "The portrait is live.",
    waiting: "message" in phase ? phase.message : "",
    closed: "message" in phase ? phase.message : "",
  };
  setText(state, words[phase.name]);
}

/** Tells the session which parts of the face the camera moves. */
function configure() {
  const lips = document.querySelector("input[name=lips]:checked");
  const isByFace = lips instanceof HTMLInputElement && lips.value === "face";
  connection.send({
    type: "motion.configure",
    parts: { mouth: isByFace ? "replace" : "off" },
    smoothing: SMOOTHING,
  });
}

async function startCamera() {
  tracker ??= await FaceTracker.load();
  camera = await navigator.mediaDevices.getUserMedia({
    video: { width: 640, height: 480, frameRate: { ideal: 30 } },
  });
  camera.getVideoTracks()[0]?.addEventListener("ended", () => {
    stopCamera();
    setText(fault, "The camera went away. Your voice moves the portrait on.");
  });
  self.srcObject = camera;
  let settling = 0;
  let isSettled = false; // a face that comes back keeps its neutral
  tracker.onSight = (isSeen) => {
    document.body.dataset["face"] = isSeen ? "seen" : "lost";
    neutralButton.disabled = !isSeen;
    setText(state, isSeen ? "Your face moves the portrait." : "Your face is out of sight; your voice goes on.");
    clearTimeout(settling);
    if (!isSeen || isSettled) return;
    settling = setTimeout(() => {
      isSettled = true;
      calibrate();
    }, 1_000 * SETTLING);
  };
  tracker.onFace = ({ coefficients, t }) => {
    document.body.dataset["faces"] = String(tracker?.rate ?? 0);
    connection.sendLossy({ type: "motion", coefficients, mode: "replace", t });
  };
  await tracker.start(camera);
}

function stopCamera() {
  tracker?.stop();
  for (const track of camera?.getTracks() ?? []) track.stop();
  camera = null;
  document.body.dataset["face"] = "off";
  cameraButton.setAttribute("aria-pressed", "false");
}

function calibrate() {
  connection.send({ type: "motion.calibrate" });
}

async function startMicrophone() {
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: true, noiseSuppression: true, channelCount: 1 },
  });
  microphone = stream.getAudioTracks()[0] ?? null;
  await connection.setMicrophone(microphone);
}

async function stopMicrophone() {
  microphone?.stop();
  microphone = null;
  await connection.setMicrophone(null);
}

/**
 * Lets a button start and stop a device.
 * @param {HTMLButtonElement} button
 * @param {"camera" | "microphone"} device
 * @param {() => Promise<void>} start
 * @param {() => void | Promise<void>} stop
 */
function toggles(button, device, start, stop) {
  button.addEventListener("click", async () => {
    setText(fault, "");
    button.disabled = true;
    try {
      const isOn = button.getAttribute("aria-pressed") === "true";
      await (isOn ? stop() : start());
      button.setAttribute("aria-pressed", String(!isOn));
    } catch (error) {
      const isMissing = error instanceof MissingTrackerError;
      setText(fault, isMissing ? error.message : explainDevice(error, device));
    } finally {
      button.disabled = false;
    }
  });
}

toggles(cameraButton, "camera", startCamera, stopCamera);
toggles(microphoneButton, "microphone", startMicrophone, stopMicrophone);
neutralButton.addEventListener("click", calibrate);
for (const input of document.querySelectorAll("input[name=lips]")) input.addEventListener("change", configure);
window.addEventListener("pagehide", () => connection.stop());
connection.start();
