// Pipecat's own client, as an application of theirs uses it; tests/test_pipecat.py drives it.
import { PipecatClient } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport, WavMediaManager } from "@pipecat-ai/small-webrtc-transport";

const heard = (globalThis.heard = []);
const NAMES = [
  "Connected", "Disconnected", "BotReady", "Error", "MessageError", "TransportStateChanged", "TrackStarted",
  "UserStartedSpeaking", "UserStoppedSpeaking", "BotStartedSpeaking", "BotStoppedSpeaking", "UserTranscript",
  "BotOutput", "BotLlmStarted", "BotLlmText", "BotLlmStopped", "BotTtsText", "LLMFunctionCallInProgress",
  "ServerMessage", "Metrics", "BotDisconnected",
];

function make() {
  const told = (name) => (data) => {
    const isTrack = data instanceof MediaStreamTrack;
    if (isTrack && data.kind === "video") show(data);
    heard.push([name, isTrack ? data.kind : (data?.data ?? data ?? null)]);
  };
  return new PipecatClient({
    transport: new SmallWebRTCTransport({ mediaManager: new WavMediaManager() }),
    enableMic: true,
    enableCam: false,
    callbacks: Object.fromEntries(NAMES.map((name) => [`on${name}`, told(name)])),
  });
}

globalThis.connect = async (requestData) => {
  globalThis.client = make();
  await client.connect({ webrtcRequestParams: { endpoint: "/api/offer", requestData } });
};

globalThis.start = async (body) => {
  globalThis.client = make();
  const endpoint = new URL("/start", location.href).href;
  globalThis.started = await client.startBot({ endpoint, requestData: { enableDefaultIceServers: true, body } });
  await client.connect(started);
};

function show(track) {
  const video = document.createElement("video");
  video.muted = video.autoplay = true;
  video.srcObject = new MediaStream([track]);
  document.body.append(video);
}
