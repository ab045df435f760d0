// Shows a session's motion on a 3D head: npm install three; then serve this folder and open
// index.html?server=http://127.0.0.1:8080 (vivant serve --allow-origin with this page's origin).
import * as THREE from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";

const server = new URLSearchParams(location.search).get("server") ?? "http://127.0.0.1:8080";
const text = new URLSearchParams(location.search).get("say") ?? "Hello. I have no picture, only motion.";
const renderer = new THREE.WebGLRenderer({ antialias: true });
const scene = new THREE.Scene();
const camera = new THREE.PerspectiveCamera(25, 1, 0.1, 10);
camera.position.set(0, 0, 0.85);
scene.add(new THREE.HemisphereLight(0xffffff, 0x554433, 1.6));
const light = new THREE.DirectionalLight(0xffffff, 2);
light.position.set(-0.5, 0.6, 1);
scene.add(light);
document.body.append(renderer.domElement);

const { scene: model } = await new GLTFLoader().loadAsync(`${server}/v1/head.glb`);
model.traverse((node) => { if (node.isMesh) node.material.vertexColors = true; });
scene.add(model);
const [head, face, mouth, left, right] = ["head", "face", "mouth", "eyeLeft", "eyeRight"].map((name) => model.getObjectByName(name));
const rest = head.position.clone();

function show(c) {
  const value = (name) => c[name] ?? 0;
  for (const mesh of [face, mouth]) for (const [name, index] of Object.entries(mesh.morphTargetDictionary)) mesh.morphTargetInfluences[index] = value(name);
  head.rotation.set(value("headPitch"), value("headYaw"), value("headRoll"), "YXZ"); // R_y R_x R_z, radians
  head.position.copy(rest).add(new THREE.Vector3(value("headX"), value("headY"), value("headZ")).multiplyScalar(0.01)); // cm
  for (const [eye, side, out] of [[left, "Left", 1], [right, "Right", -1]])
    eye.rotation.set(0.52 * (value(`eyeLookDown${side}`) - value(`eyeLookUp${side}`)), 0.52 * out * (value(`eyeLookOut${side}`) - value(`eyeLookIn${side}`)), 0);
}

const session = await (await fetch(`${server}/v1/sessions`, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" })).json();
const socket = new WebSocket(`${server.replace("http", "ws")}/v1/sessions/${session.session_id}/events`);
socket.onopen = () => [{ type: "motion.subscribe" }, { type: "speak", text }].forEach((message) => socket.send(JSON.stringify(message)));
socket.onmessage = ({ data }) => { const message = JSON.parse(data); if (message.type === "motion.frame") show(message.coefficients); };
renderer.setAnimationLoop(() => {
  if (renderer.domElement.width !== innerWidth) { renderer.setSize(innerWidth, innerHeight); camera.aspect = innerWidth / innerHeight; camera.updateProjectionMatrix(); }
  renderer.render(scene, camera);
});
