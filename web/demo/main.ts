import { MobileNet, type Prediction, type Source, type Weights } from "mobilenet-wgpu";
import { benchTab, drawProfile } from "./bench.js";
import { byId, facts, make, tabs, track } from "./elements.js";

const status = byId<HTMLOutputElement>("status");
const canvas = byId<HTMLCanvasElement>("picture");
const video = byId<HTMLVideoElement>("video");
const camera = byId<HTMLButtonElement>("camera");
let network: MobileNet | undefined;
let stream: MediaStream | undefined;

const textOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** Of the model. */
function say(text: string, bad = false): void {
  status.textContent = text;
  status.classList.toggle("bad", bad);
}

/** What went wrong with a picture, the camera or a measurement; nothing once something went well. */
function complain(text = ""): void {
  byId("problem").textContent = text;
  byId("problem").hidden = text === "";
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
    // The first run is the driver's to be slow in.
    await loaded.run(new OffscreenCanvas(8, 8).getContext("2d")!.canvas);
    const before = network;
    network = loaded;
    before?.dispose();
    const { info } = loaded;
    const place = info.backend === "webgpu" ? `on ${info.device?.name}` : "on the CPU, in WebAssembly";
    const note = info.note ? ` (${info.note})` : "";
    const name = weights instanceof File ? `${weights.name}: ` : "";
    say(`${name}${info.recognition.architecture}, ${info.size.join("x")}, ${place}; ready in ${Math.round(performance.now() - start)} ms, the first run included${note}`);
    describe(loaded);
    byId("layers").replaceChildren();
    for (const [id, pressed] of [["builtin", weights === "builtin"], ["open", weights !== "builtin"]] as const) byId(id).setAttribute("aria-pressed", String(pressed));
    for (const id of ["profile", "run-bench"]) byId<HTMLButtonElement>(id).disabled = info.backend !== "webgpu";
  } catch (error) {
    say(textOf(error), true);
  } finally {
    progress.hidden = true;
  }
}

const binary = (bytes: number) => (bytes >= 1 << 20 ? `${Math.round(bytes / (1 << 20))} MiB` : `${Math.round(bytes / 1024)} KiB`);
const decimal = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

/** The model, and the adapter as far as the browser tells. */
function describe({ info, device }: MobileNet): void {
  const rows: [string, string][] = [
    ["Model", `${info.recognition.architecture}, ${info.recognition.parameters.toLocaleString("en")} parameters, names of ${info.recognition.scheme}`],
    ["Input", info.size.join(" x ")],
    ["Backend", info.backend],
  ];
  if (info.device && device) {
    const { vendor, architecture, device: chip, description } = device.adapterInfo;
    const told: [string, string][] = [["Vendor", vendor], ["Architecture", architecture], ["Chip", chip], ["Description", description]];
    rows.push(...told.filter(([, value]) => value !== ""));
    rows.push(
      ["Kind", info.device.class],
      ["f16 in shaders", info.device.f16 ? "yes" : "no"],
      ["Timestamps", info.device.timestamps ? "yes" : "no"],
      ["Largest buffer", binary(info.device.max_buffer_size)],
      ["Largest binding", binary(info.device.max_storage_binding)],
      ["Workgroup memory", binary(info.device.max_workgroup_memory)],
      ["Invocations of a workgroup", String(info.device.max_invocations)],
    );
  }
  if (info.dispatches) rows.push(["Dispatches", String(info.dispatches)]);
  if (info.bytes) rows.push(["Weights", decimal(info.bytes.weights)], ["Activations", decimal(info.bytes.activations)]);
  facts(byId("adapter"), rows);
}

function show(predictions: Prediction[], milliseconds: number, perSecond?: number): void {
  const line = ({ label, probability }: Prediction) =>
    make("li", "", make("div", "row", make("span", "", label), make("span", "", `${(probability * 100).toFixed(1)} %`)), track(probability));
  byId("nothing").hidden = true;
  byId("top").replaceChildren(...predictions.map(line));
  const rows: [string, string][] = [["Latency", `${milliseconds.toFixed(1)} ms`]];
  if (perSecond !== undefined) rows.push(["Frames per second", perSecond.toFixed(1)]);
  facts(byId("times"), rows);
}

function draw(source: CanvasImageSource, width: number, height: number): void {
  canvas.hidden = false;
  const scale = Math.min(1, 640 / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext("2d")?.drawImage(source, 0, 0, canvas.width, canvas.height);
}

async function classify(source: Source): Promise<void> {
  const used = network;
  if (!used) throw new Error("no model is loaded yet");
  const start = performance.now();
  try {
    const predictions = await used.classify(source, { topK: 5 });
    show(predictions, performance.now() - start, frames.rate());
    complain();
  } catch (error) {
    // Another model may have taken its place meanwhile.
    if (used === network) throw error;
  }
}

/** Pictures are classified in turn, a checkpoint is loaded. */
async function take(files: Iterable<File>): Promise<void> {
  stopCamera();
  for (const file of files) {
    if (file.name.endsWith(".safetensors")) {
      await load(file);
      continue;
    }
    try {
      const bitmap = await createImageBitmap(file, { premultiplyAlpha: "none" });
      draw(bitmap, bitmap.width, bitmap.height);
      await classify(bitmap);
      bitmap.close();
    } catch (error) {
      complain(`${file.name}: ${textOf(error)}`);
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
  if (!navigator.mediaDevices) return complain("this page has no camera: open it over https or on localhost");
  camera.disabled = true; // a second click would start a second stream
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    video.srcObject = stream;
    await video.play();
    camera.disabled = false;
    camera.setAttribute("aria-pressed", "true");
    camera.textContent = "Stop the camera";
    byId("top").setAttribute("aria-live", "off");
    while (stream) {
      await new Promise(requestAnimationFrame);
      if (!stream || video.readyState < 2) continue;
      draw(video, video.videoWidth, video.videoHeight);
      frames.tick();
      await classify(video);
    }
  } catch (error) {
    stopCamera();
    complain(textOf(error));
  }
}

function stopCamera(): void {
  stream?.getTracks().forEach((track) => track.stop());
  stream = undefined;
  camera.disabled = false;
  frames.times = [];
  camera.setAttribute("aria-pressed", "false");
  camera.textContent = "Camera";
  byId("top").setAttribute("aria-live", "polite");
}

function wire(): void {
  const [files, checkpoint, drop] = [byId<HTMLInputElement>("files"), byId<HTMLInputElement>("checkpoint"), byId("drop")];
  byId("choose").addEventListener("click", () => files.click());
  byId("open").addEventListener("click", () => checkpoint.click());
  byId("builtin").addEventListener("click", () => void load("builtin"));
  const chosen = (input: HTMLInputElement, use: (files: File[]) => Promise<void>) =>
    input.addEventListener("change", () => {
      void use([...(input.files ?? [])]);
      // The same file once more is a change, too.
      input.value = "";
    });
  chosen(files, take);
  chosen(checkpoint, async ([file]) => file && load(file));
  camera.addEventListener("click", () => (stream ? stopCamera() : void startCamera()));
  for (const kind of ["dragover", "dragleave", "drop"] as const) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") void take([...(event.dataTransfer?.files ?? [])]);
    });
  }
  byId("profile").addEventListener("click", async () => {
    try {
      if (network) drawProfile(await network.profile());
    } catch (error) {
      complain(textOf(error));
    }
  });
  tabs();
  benchTab(() => network);
}

wire();
await load("builtin");
