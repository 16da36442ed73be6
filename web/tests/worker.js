// Classifies a canvas in a worker and sends what it found.
import { MobileNet } from "/dist/index.js";

const network = await MobileNet.load("builtin", { backend: "gpu" });
const canvas = new OffscreenCanvas(64, 48);
const context = canvas.getContext("2d");
context.fillStyle = "skyblue";
context.fillRect(0, 0, 64, 48);
context.fillStyle = "grey";
context.fillRect(10, 20, 44, 8);
self.postMessage({ backend: network.info.backend, top: await network.classify(canvas) });
