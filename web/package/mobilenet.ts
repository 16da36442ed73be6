import init, { Incoming, type Network } from "./native/mobilenet_web.js";
import { DeviceLostError, MobileNetError, NoWebGPUError, codeOf, typed } from "./errors.js";
import { isBitmap, isPixels, pixels, sized, type Sized, type Source } from "./sources.js";
import { openWeights, pour, type FetchOptions, type Opened } from "./weights.js";

/** An address, bytes, or `"builtin"`: a small network of ten classes (CIFAR-10) that comes with the package. */
export type Weights = "builtin" | (string & {}) | URL | ArrayBuffer | Uint8Array | Blob;

export interface LoadOptions extends FetchOptions {
  /** What the weights are called, which may tell the network's size; by default their address or file name. */
  name?: string;
  /** Where to compute: the GPU and, where there is none, the CPU (`"auto"`, the default), or one of the two. */
  backend?: "auto" | "gpu" | "cpu";
  /** Height and width of the network's input; the model's own by default. */
  size?: [number, number];
  /** f16 only where the GPU has it. */
  precision?: "f32" | "f16-storage" | "f16";
  /** Nodes whose values are wanted, by name (`logits`, `probabilities`, `embedding`, `features`, …). */
  outputs?: string[];
  /** Inferences under way at one time; later ones wait. */
  inFlight?: number;
  /** Kernels to take wherever they apply: pairs of op and variant. */
  prefer?: [string, string][];
  /** A tuning record, as `mobilenet tune` or the demo's bench writes it. */
  tuning?: string;
  /** The text of a `config.json` beside the weights. */
  configJson?: string;
  /** The text of a `preprocessor_config.json` beside the weights. */
  preprocessorJson?: string;
  /** The WebAssembly, if it is not beside this module. */
  wasm?: string | URL | Request | Response | BufferSource | WebAssembly.Module;
}

export interface Prediction {
  /** The model's own output index. */
  index: number;
  label: string;
  /** WordNet id, of ImageNet's classes. */
  wnid?: string;
  /** In 0..1. */
  probability: number;
}

export interface Output {
  /** Pictures, height, width, channels. */
  shape: [number, number, number, number];
  data: Float32Array;
}
export type Outputs = Record<string, Output>;

/** A `GPUDevice`, where TypeScript knows of WebGPU (by `@webgpu/types`). */
export type Device = typeof globalThis extends { GPUDevice: { prototype: infer Known } } ? Known : unknown;

/** What was loaded and where it runs. */
export interface Info {
  /** `webgpu`, or `wasm` where the reference runs on the CPU. */
  backend: "webgpu" | "wasm";
  /** Why it runs on the CPU although it was to run on the GPU. */
  note: string | null;
  /** Height and width. */
  size: [number, number];
  outputs: string[];
  labels: string[];
  recognition: { architecture: string; scheme: string; width: number | null; classes: number | null; parameters: number; notes: string[] };
  /** Of the GPU. */
  device?: {
    name: string;
    class: string;
    f16: boolean;
    timestamps: boolean;
    max_buffer_size: number;
    max_storage_binding: number;
    max_workgroup_memory: number;
    max_invocations: number;
  };
  precision?: string;
  dispatches?: number;
  macs?: number;
  bytes?: { weights: number; activations: number };
}

export interface LayerTime {
  node: string;
  op: string;
  case: string;
  variant: string;
  /** Nanoseconds, median. */
  ns: number;
  /** Of the sum. */
  share: number;
  gflops: number;
}

export interface Profile {
  clock: "timestamps" | "wall";
  steps: LayerTime[];
  /** Nanoseconds. */
  sum: number;
}

export interface Bench {
  clock: "timestamps" | "wall";
  /** The tuning record, in the native tool's format. */
  record: string;
  layers: { op: string; case: string; nodes: string[]; candidates: { variant: string; ns: number | null; right: boolean }[] }[];
}

let started: Promise<unknown> | undefined;

function start(wasm: LoadOptions["wasm"]): Promise<unknown> {
  started ??= init(wasm === undefined ? undefined : { module_or_path: wasm }).catch((error: unknown) => {
    started = undefined;
    const advice = "serve it beside the package's modules, or give its address as `wasm`; vite: optimizeDeps: { exclude: [\"mobilenet-wgpu\"] }";
    throw new MobileNetError("wasm", `the package's WebAssembly could not be loaded (${String(error)}): ${advice}`, { cause: error });
  });
  return started;
}

async function opened(weights: Weights, options: LoadOptions): Promise<Opened | Uint8Array> {
  if (weights instanceof Uint8Array) return weights;
  if (weights instanceof ArrayBuffer) return new Uint8Array(weights);
  if (weights instanceof Blob) return { address: nameOf(weights), body: weights.stream(), length: weights.size, cached: false };
  return await openWeights(weights === "builtin" ? new URL("./mobilenet_v2_cifar10.safetensors", import.meta.url) : weights, options);
}

/** Brings the bytes to a network that waits for them. */
async function deliver(source: Opened | Uint8Array, incoming: Incoming, options: LoadOptions, stopped: () => boolean): Promise<void> {
  try {
    if (source instanceof Uint8Array) pushAll(source, incoming);
    else await pour(source, incoming, options, stopped);
  } finally {
    // If they ended too soon, that tells the network.
    incoming.free();
  }
}

/** Bytes that are at hand, in pieces: WebAssembly's memory grows by what is copied at one time, and stays. */
function pushAll(bytes: Uint8Array, incoming: Incoming): void {
  const piece = 1 << 20;
  for (let at = 0; at < bytes.length; at += piece) incoming.push(bytes.subarray(at, at + piece));
  incoming.finish();
}

function nameOf(weights: Weights): string {
  if (typeof weights === "string" || weights instanceof URL) return String(weights);
  return typeof File !== "undefined" && weights instanceof File ? weights.name : "";
}

/** A network, ready to classify. */
export class MobileNet {
  #native: Network | undefined;
  #info: Info;
  #inFlight: number;
  /** Calls of the network under way, and the network that waits for them to end before it is freed. */
  #busy = 0;
  #leaving: Network | undefined;
  #waiting: (() => void)[] = [];
  #running = 0;
  #restored = false;
  #lostDevice: GPUDevice | null = null;
  /** Settled while a device is there; rejected once there will be none again. */
  #ready: Promise<void> = Promise.resolve();

  private constructor(native: Network, inFlight: number) {
    this.#native = native;
    this.#info = JSON.parse(native.info()) as Info;
    this.#inFlight = inFlight;
    this.#watch();
  }

  static async load(weights: Weights = "builtin", options: LoadOptions = {}): Promise<MobileNet> {
    const { cache: _cache, onProgress: _onProgress, signal: _signal, wasm, ...native } = options;
    if (options.backend === "gpu" && !("gpu" in navigator)) {
      throw new NoWebGPUError("no-webgpu", "this browser has no WebGPU: use a current Chrome, Edge, Firefox or Safari over https, or the backend `auto`");
    }
    const inFlight = Math.max(1, Math.trunc(options.inFlight ?? 3) || 1);
    const [source] = await Promise.all([opened(weights, options), start(wasm)]);
    try {
      const incoming = new Incoming();
      const loading = incoming.network(JSON.stringify({ name: nameOf(weights), ...native, inFlight })) as Promise<Network>;
      let failed = false;
      loading.catch(() => (failed = true));
      const [network] = await Promise.all([loading, deliver(source, incoming, options, () => failed)]);
      return new MobileNet(network, inFlight);
    } catch (error) {
      throw typed(error);
    }
  }

  /** What was loaded and where it runs. */
  get info(): Info {
    return this.#info;
  }

  /** The package's own device, to draw with; `null` on the CPU. It changes when a lost device is replaced. */
  get device(): Device | null {
    return this.#device() as Device | null;
  }
  #device(): GPUDevice | null {
    return this.#alive().device() as GPUDevice | null;
  }

  /** What runs: kernels, dispatches, buffers, and why; `null` on the CPU. */
  get plan(): unknown {
    return JSON.parse(this.#alive().plan());
  }

  /** The likeliest classes, the likeliest first. */
  async classify(source: Source, { topK = 5 }: { topK?: number } = {}): Promise<Prediction[]> {
    const { probabilities } = await this.run(source);
    if (!probabilities) throw new MobileNetError("option", "the model has no classifier, or `probabilities` is not among the outputs it was loaded with");
    return JSON.parse(this.#alive().predictions(probabilities.data, topK)) as Prediction[];
  }

  /** The mean of the last convolution's map: a picture as a vector to compare with others'. */
  async embed(source: Source): Promise<Float32Array> {
    const { embedding } = await this.run(source);
    if (!embedding) throw new MobileNetError("option", "`embedding` is not among the outputs that the model was loaded with");
    return embedding.data;
  }

  /** All outputs for a picture. */
  async run(source: Source): Promise<Outputs> {
    const picture = await sized(source);
    try {
      return await this.#guarded((native) => this.#submit(native, picture));
    } finally {
      if (picture.ours) (picture.source as ImageBitmap).close();
    }
  }

  /** All outputs for normalised values, `[n, height, width, 3]`. */
  async runTensor(values: Float32Array, batch = 1): Promise<Outputs> {
    return await this.#guarded((native) => native.runTensor(values, batch) as Promise<Outputs>);
  }

  /** Nanoseconds of each layer on this GPU, and the kernel that computes it. Takes a second or more. */
  async profile(): Promise<Profile> {
    return await this.#measured(async (native) => JSON.parse(await native.profile()) as Profile);
  }

  /**
   * Every kernel on every layer, checked and timed on this GPU, and a tuning record: give it to `load` as `tuning`, or to
   * the native tool. Takes some seconds to minutes.
   */
  async bench(onProgress: (done: number, total: number) => void = () => undefined): Promise<Bench> {
    return await this.#measured(async (native) => JSON.parse(await native.bench(Date.now() / 1000, onProgress)) as Bench);
  }

  async #measured<T>(measure: (native: Network) => Promise<T>): Promise<T> {
    try {
      await this.#ready;
      return await this.#use(measure);
    } catch (error) {
      throw typed(error);
    }
  }

  /** Frees everything, the device too; what is under way ends with an error. */
  dispose(): void {
    const native = this.#native;
    if (!native) return;
    this.#native = undefined;
    (native.device() as GPUDevice | null)?.destroy();
    this.#leaving = native;
    this.#leave();
  }

  /** Frees the network once nothing uses it: wasm-bindgen throws where a call is under way. */
  #leave(): void {
    if (this.#busy > 0) return;
    this.#leaving?.free();
    this.#leaving = undefined;
  }

  /** Calls the network; it is not freed meanwhile. */
  async #use<T>(call: (native: Network) => Promise<T>): Promise<T> {
    const native = this.#alive();
    this.#busy += 1;
    try {
      return await call(native);
    } finally {
      this.#busy -= 1;
      this.#leave();
    }
  }

  async #submit(native: Network, picture: Sized): Promise<Outputs> {
    const { source, width, height } = picture;
    if (this.#info.backend === "wasm" || isPixels(source)) return (await native.runPixels(pixels(picture), height, width)) as Outputs;
    try {
      return (await native.runExternal(source, height, width)) as Outputs;
    } catch (error) {
      // Some frames of a video can be drawn, but not copied as they are.
      if (codeOf(error) !== "input" || isBitmap(source)) throw error;
      const bitmap = await createImageBitmap(source).catch(() => {
        throw error;
      });
      try {
        return (await native.runExternal(bitmap, bitmap.height, bitmap.width)) as Outputs;
      } finally {
        bitmap.close();
      }
    }
  }

  /** Runs when there is room and a device; once more if the device was lost meanwhile. */
  async #guarded(run: (native: Network) => Promise<Outputs>): Promise<Outputs> {
    while (this.#running >= this.#inFlight) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
    try {
      await this.#ready;
      try {
        return await this.#use(run);
      } catch (error) {
        if (!(await this.#isLoss(error))) throw error;
        await this.#lose();
        return await this.#use(run);
      }
    } catch (error) {
      throw typed(error);
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** Whether an error comes of a lost device: what fails first may be told before the loss itself. */
  async #isLoss(error: unknown): Promise<boolean> {
    const code = codeOf(error);
    if (code === "device-lost") return true;
    const device = code === "device" || code === "out-of-memory" ? this.#device() : null;
    const soon = new Promise<boolean>((resolve) => setTimeout(resolve, 100, false));
    return device !== null && (await Promise.race([device.lost.then(() => true), soon]));
  }

  #alive(): Network {
    if (!this.#native) throw new MobileNetError("disposed", "this network was disposed of: load it again");
    return this.#native;
  }

  #watch(): void {
    const device = this.#device();
    void device?.lost.then(() => {
      if (this.#native && this.#device() === device) this.#lose().catch(() => undefined);
    });
  }

  /** The device is gone: a new one, the first time. */
  #lose(): Promise<void> {
    if (this.#native && this.#info.backend === "webgpu" && this.#lostDevice !== this.#device()) {
      this.#lostDevice = this.#device();
      this.#ready = this.#restored
        ? Promise.reject(new DeviceLostError("device-lost", "the GPU's device was lost twice: load the model again, or use the backend `cpu`"))
        : this.#restore();
      this.#restored = true;
      this.#ready.catch(() => undefined);
    }
    return this.#ready;
  }

  async #restore(): Promise<void> {
    try {
      await this.#use((native) => native.restore());
    } catch (error) {
      throw new DeviceLostError("device-lost", `the GPU's device was lost and could not be replaced (${String(error)})`, { cause: error });
    }
    this.#info = JSON.parse(this.#alive().info()) as Info;
    this.#watch();
  }
}
