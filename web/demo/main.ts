import { MobileNet, type Prediction, type Source, type Weights } from "mobilenet-wgpu";
import { benchTab, drawProfile } from "./bench.js";
import { byId, facts, make, tabs, track } from "./elements.js";

const status = byId<HTMLOutputElement>("status");
const canvas = byId<HTMLCanvasElement>("picture");
const video = byId<HTMLVideoElement>("video");
const camera = byId<HTMLButtonElement>("camera");
let network: MobileNet | undefined;
let stream: MediaStream | undefined;

function say(text: string, bad = false): void {
  status.textContent = text;
  status.classList.toggle("bad", bad);
}

function sayError(error: unknown): void {
  say(error instanceof Error ? error.message : String(error), true);
}

async function load(weights: Weights): Promise<void> {
  const progress = byId<HTMLProgressElement>("progress");
  say("Loading …");
  try {
    const start = performance.now();
    const loaded = await MobileNet.load(weights, {
      onProgress: ({ loaded, total }) => {
        progress.hidden = false;
        if (total) progress.value = loaded / total;
      },
    });
    network?.dispose();
    network = loaded;
    const { info } = loaded;
    const place = info.backend === "webgpu" ? `on ${info.device?.name}` : "on the CPU, in WebAssembly";
    say(`${info.recognition.architecture}, ${info.size.join("x")}, ${place}; ready in ${Math.round(performance.now() - start)} ms`);
    if (info.note) say(`${status.textContent} (${info.note})`);
    describe(loaded);
    byId("layers").replaceChildren();
    for (const id of ["profile", "run-bench"]) byId<HTMLButtonElement>(id).disabled = info.backend !== "webgpu";
  } catch (error) {
    sayError(error);
  } finally {
    progress.hidden = true;
  }
}

const sentence = (key: string) => (key.charAt(0).toUpperCase() + key.slice(1)).replaceAll("_", " ");

/** A device's property in words; nothing where the browser tells nothing. */
function fact(key: string, value: unknown): string {
  if (key === "backend" || value === null || value === "") return "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  const bytes = ["max_buffer_size", "max_storage_binding", "max_workgroup_memory"].includes(key);
  if (typeof value === "number") return bytes ? binary(value) : value.toLocaleString("en");
  return String(value);
}

const binary = (bytes: number) => (bytes >= 1 << 20 ? `${Math.round(bytes / (1 << 20))} MiB` : `${Math.round(bytes / 1024)} KiB`);

function describe({ info }: MobileNet): void {
  const rows: [string, string][] = [
    ["Model", `${info.recognition.architecture}, ${info.recognition.parameters.toLocaleString("en")} parameters, names of ${info.recognition.scheme}`],
    ["Input", info.size.join(" x ")],
    ["Backend", info.backend],
  ];
  for (const [key, value] of Object.entries(info.device ?? {})) {
    const told = fact(key, value);
    if (told) rows.push([sentence(key), told]);
  }
  if (info.dispatches) rows.push(["Dispatches", String(info.dispatches)]);
  if (info.bytes) rows.push(["Weights", `${(info.bytes.weights / 1e6).toFixed(1)} MB`], ["Activations", `${(info.bytes.activations / 1e6).toFixed(1)} MB`]);
  facts(byId("adapter"), rows);
}

function show(predictions: Prediction[], milliseconds: number, perSecond?: number): void {
  const line = ({ label, probability }: Prediction) =>
    make("li", "", make("div", "row", make("span", "", label), make("span", "", `${(probability * 100).toFixed(1)} %`)), track(probability));
  byId("top").replaceChildren(...predictions.map(line));
  const rows: [string, string][] = [["Latency", `${milliseconds.toFixed(1)} ms`]];
  if (perSecond !== undefined) rows.push(["Frames per second", perSecond.toFixed(1)]);
  facts(byId("times"), rows);
}

function draw(source: CanvasImageSource, width: number, height: number): void {
  const scale = Math.min(1, 640 / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext("2d")?.drawImage(source, 0, 0, canvas.width, canvas.height);
}

async function classify(source: Source): Promise<number> {
  if (!network) throw new Error("no model is loaded yet");
  const start = performance.now();
  const predictions = await network.classify(source, { topK: 5 });
  const milliseconds = performance.now() - start;
  show(predictions, milliseconds, frames.rate());
  return milliseconds;
}

async function pictures(files: Iterable<File>): Promise<void> {
  stopCamera();
  for (const file of files) {
    try {
      const bitmap = await createImageBitmap(file, { premultiplyAlpha: "none" });
      draw(bitmap, bitmap.width, bitmap.height);
      await classify(bitmap);
      bitmap.close();
    } catch (error) {
      sayError(error);
    }
  }
}

/** Times of the last camera frames. */
const frames = {
  times: [] as number[],
  tick() {
    this.times = [...this.times, performance.now()].slice(-30);
  },
  rate(): number | undefined {
    const [first, last] = [this.times[0], this.times.at(-1)];
    return first !== undefined && last !== undefined && last > first ? ((this.times.length - 1) * 1000) / (last - first) : undefined;
  },
};

async function startCamera(): Promise<void> {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    video.srcObject = stream;
    await video.play();
    camera.setAttribute("aria-pressed", "true");
    camera.textContent = "Stop the camera";
    while (stream) {
      await new Promise(requestAnimationFrame);
      if (!stream || video.readyState < 2) continue;
      draw(video, video.videoWidth, video.videoHeight);
      frames.tick();
      await classify(video);
    }
  } catch (error) {
    stopCamera();
    sayError(error);
  }
}

function stopCamera(): void {
  stream?.getTracks().forEach((track) => track.stop());
  stream = undefined;
  frames.times = [];
  camera.setAttribute("aria-pressed", "false");
  camera.textContent = "Camera";
}

function wire(): void {
  const [files, checkpoint, drop] = [byId<HTMLInputElement>("files"), byId<HTMLInputElement>("checkpoint"), byId("drop")];
  const model = byId<HTMLSelectElement>("model");
  byId("choose").addEventListener("click", () => files.click());
  files.addEventListener("change", () => void pictures(files.files ?? []));
  camera.addEventListener("click", () => (stream ? stopCamera() : void startCamera()));
  model.addEventListener("change", () => (model.value === "file" ? checkpoint.click() : void load("builtin")));
  checkpoint.addEventListener("change", () => checkpoint.files?.[0] && void load(checkpoint.files[0]));
  for (const kind of ["dragover", "dragleave", "drop"] as const) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") void pictures(event.dataTransfer?.files ?? []);
    });
  }
  byId("profile").addEventListener("click", async () => {
    try {
      if (network) drawProfile(await network.profile());
    } catch (error) {
      sayError(error);
    }
  });
  tabs();
  benchTab(() => network);
}

wire();
await load("builtin");
