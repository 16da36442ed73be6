// The package in a real browser: goldens, kernels, sources, memory, losses.

import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { after, before, test } from "node:test";
import { assets, open } from "./browser.mjs";

let chromium;
before(async () => (chromium = await open()));
after(() => chromium.close());

const quiet = (page) => assert.deepEqual(page.said.filter((line) => /^(error|pageerror)/.test(line)), []);

test("the built-in model on the GPU gives what the reference gives", async () => {
  const page = await chromium.page();
  const result = await page.evaluate(async () => {
    const { MobileNet } = await import("/dist/index.js");
    const gpu = await MobileNet.load("builtin", { backend: "gpu" });
    const cpu = await MobileNet.load("builtin", { backend: "cpu" });
    const pixels = new ImageData(57, 43);
    pixels.data.forEach((_, i) => (pixels.data[i] = i % 4 === 3 ? 255 : (i * i * 31 + i * 7) % 256));
    const [a, b] = await Promise.all([gpu.run(pixels), cpu.run(pixels)]);
    const worst = (name) => Math.max(...a[name].data.map((v, i) => Math.abs(v - b[name].data[i])));
    const top = await gpu.classify(pixels, { topK: 3 });
    const info = [gpu.info, cpu.info];
    gpu.dispose();
    cpu.dispose();
    return { logits: worst("logits"), embedding: worst("embedding"), info, top };
  });
  assert.equal(result.info[0].backend, "webgpu");
  assert.equal(result.info[1].backend, "wasm");
  assert.ok(result.logits < 1e-4 && result.embedding < 1e-4, JSON.stringify(result));
  assert.equal(result.top.length, 3);
  quiet(page);
});

test("every kernel that may be planned agrees with the reference", async (t) => {
  const page = await chromium.page();
  const results = await page.evaluate(async () => {
    const native = await import("/dist/native/mobilenet_web.js");
    await native.default();
    return JSON.parse(await native.checkVariants());
  });
  const tolerance = { f32: 2e-5, "f16-storage": 2e-2, f16: 2e-2 };
  // An infinite or unknown error comes as null, which is less than any number.
  const right = (r) => Number.isFinite(r.error) && r.error <= tolerance[r.precision];
  const wrong = results.filter((r) => !r.refused && !right(r));
  assert.deepEqual(wrong, []);
  const refused = results.filter((r) => r.refused);
  t.diagnostic(`${results.length - refused.length} comparisons; refused: ${refused.map((r) => `${r.op}/${r.variant} (${r.refused})`).join(", ")}`);
  assert.ok(results.length - refused.length >= 100, `${results.length} results`);
  assert.ok(refused.every((r) => r.variant.startsWith("subgroup")), JSON.stringify(refused));
  quiet(page);
});

const models = ["mobilenet_v1_0.25_128", "mobilenet_v1_0.5_160", "mobilenet_v1_1.0_224", "mobilenet_v2_1.0_224", "mobilenet_v2_1.0_224_backbone", "mobilenet_v2_1.0_224_torch"];
for (const model of models) {
  const file = assets && `${assets}/models/${model}/model.safetensors`;
  // Without assets there is nothing to compare with; with them, a missing checkpoint is a failure.
  if (!file || (existsSync(file) && statSync(file).size > 15e6)) continue;
  test(`golden ${model}`, async (t) => {
    assert.ok(existsSync(file), `${file} is missing`);
    const page = await chromium.page();
    const results = await page.evaluate(async (model) => {
      const { MobileNet } = await import("/dist/index.js");
      const { compare, tensors } = await import("/tests/golden.js");
      const golden = await tensors(`/assets/models/${model}/golden.safetensors`);
      const kinds = [["logits", "logits"], ["features", "features"], ["pooled", "embedding"]];
      const outputs = kinds.filter(([kind]) => Object.keys(golden).some((n) => n.startsWith(`${kind}_`))).map(([, node]) => node);
      const network = await MobileNet.load(`/assets/models/${model}/model.safetensors`, { backend: "gpu", outputs });
      const results = await compare(network, golden);
      network.dispose();
      return results;
    }, model);
    assert.ok(results.length > 0);
    t.diagnostic(`largest relative error ${Math.max(...results.map((r) => r.error)).toExponential(2)} of ${results.length} outputs`);
    assert.deepEqual(results.filter((r) => !(r.error <= 1e-4 && r.agree)), []);
    quiet(page);
  });
}

test("a network that is disposed of at work ends what is under way, and others go on", async () => {
  const page = await chromium.page();
  const results = await page.evaluate(async () => {
    const { MobileNet } = await import("/dist/index.js");
    const cat = await (await fetch("/repository/assets/cat.png")).blob();
    const [network, other] = [await MobileNet.load("builtin", { backend: "gpu", inFlight: 0 }), await MobileNet.load("builtin", { backend: "gpu" })];
    await network.classify(cat);
    const under = [network.profile(), network.bench(), network.classify(cat)].map((promise) => promise.then(() => "done", (error) => error.code ?? String(error)));
    network.dispose();
    const ends = await Promise.all(under);
    const after = await network.classify(cat).catch((error) => error.code);
    const [best] = await other.classify(cat);
    other.dispose();
    return { ends, after, best: best.label };
  });
  assert.equal(results.ends.length, 3);
  assert.ok(results.ends.every((end) => end === "done" || /^[a-z-]+$/.test(end)), JSON.stringify(results.ends));
  assert.deepEqual([results.after, results.best], ["disposed", "cat"]);
});

test("every kind of source gives the picture's own result", async (t) => {
  const page = await chromium.page();
  const results = await page.evaluate(async () => {
    const { MobileNet } = await import("/dist/index.js");
    const network = await MobileNet.load("builtin", { backend: "gpu" });
    const image = new Image();
    image.src = "/repository/assets/cat.png";
    await image.decode();
    const [width, height] = [image.naturalWidth, image.naturalHeight];
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    canvas.getContext("2d").drawImage(image, 0, 0);
    const offscreen = new OffscreenCanvas(width, height);
    offscreen.getContext("2d").drawImage(image, 0, 0);
    const data = canvas.getContext("2d").getImageData(0, 0, width, height);
    const video = document.createElement("video");
    video.muted = true;
    const stream = canvas.captureStream(30);
    video.srcObject = stream;
    const painting = setInterval(() => canvas.getContext("2d").drawImage(image, 0, 0), 20);
    await video.play();
    await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    clearInterval(painting);
    const sources = {
      data, image, canvas, offscreen, video,
      bitmap: await createImageBitmap(image),
      frame: new VideoFrame(canvas, { timestamp: 0 }),
      blob: await (await fetch(image.src)).blob(),
    };
    const results = {};
    for (const [kind, source] of Object.entries(sources)) {
      const outputs = await network.run(source);
      results[kind] = Array.from(outputs.probabilities.data);
      if (source !== data && (await network.embed(source)).length === 0) results[kind] = [];
    }
    const refused = await network.run({}).then(() => "ran", (error) => `${error.name} ${error.code}`);
    results.refused = refused;
    network.dispose();
    return results;
  });
  const { data, refused, ...others } = results;
  assert.equal(refused, "InputError input");
  for (const [kind, found] of Object.entries(others)) {
    const difference = Math.max(...found.map((v, i) => Math.abs(v - data[i])));
    t.diagnostic(`${kind}: probabilities differ by ${difference.toExponential(1)}`);
    // A video's colours have been through YUV. Textures are resized without rounding to bytes in between, pixels as Pillow does.
    assert.ok(difference <= (kind === "video" || kind === "frame" ? 0.1 : 1e-4), `${kind}: ${difference}`);
    if (["canvas", "offscreen", "bitmap", "blob"].includes(kind)) assert.deepEqual(found, others.image, kind);
  }
  quiet(page);
});

test("a photo on the GPU, on the CPU and turned by EXIF gives the same classes", { skip: !assets }, async () => {
  const page = await chromium.page();
  const results = await page.evaluate(async () => {
    const { MobileNet } = await import("/dist/index.js");
    const weights = "/assets/models/mobilenet_v1_0.25_128/model.safetensors";
    const results = {};
    for (const backend of ["gpu", "cpu"]) {
      const network = await MobileNet.load(weights, { backend });
      for (const photo of ["cat_720p.jpg", "variant_cat_portrait_exif6.jpg", "variant_coffee_rgba.png"]) {
        const image = new Image();
        image.src = `/assets/photos/${photo}`;
        const outputs = await network.run(image);
        results[`${backend} ${photo}`] = { data: Array.from(outputs.logits.data), top: await network.classify(image, { topK: 3 }), size: network.info.size };
      }
      network.dispose();
    }
    return results;
  });
  for (const photo of ["cat_720p.jpg", "variant_cat_portrait_exif6.jpg", "variant_coffee_rgba.png"]) {
    const [gpu, cpu] = [results[`gpu ${photo}`], results[`cpu ${photo}`]];
    assert.deepEqual(gpu.size, [128, 128]);
    const difference = Math.max(...gpu.data.map((v, i) => Math.abs(v - cpu.data[i])));
    // Textures are resized without rounding to bytes in between, pixels in memory as Pillow does.
    assert.ok(difference < 0.05, `${photo}: ${difference}`);
    assert.deepEqual(gpu.top.map((p) => p.label), cpu.top.map((p) => p.label));
  }
  quiet(page);
});

test("without WebGPU the reference answers in WebAssembly, and says so", async () => {
  const bare = await open({ webgpu: false });
  try {
    const page = await bare.page();
    const result = await page.evaluate(async () => {
      const { MobileNet } = await import("/dist/index.js");
      const network = await MobileNet.load();
      const image = new Image();
      image.src = "/repository/assets/cat.png";
      const [best] = await network.classify(image);
      const refused = await MobileNet.load("builtin", { backend: "gpu" }).then(() => "loaded", (error) => `${error.name} ${error.code}`);
      return { info: network.info, best, refused, device: network.device };
    });
    assert.equal(result.info.backend, "wasm");
    assert.match(result.info.note, /WebGPU/);
    assert.match(result.refused, /^NoWebGPUError/);
    assert.equal(result.device, null);
    assert.ok(result.best.probability > 0.3, JSON.stringify(result.best));
  } finally {
    await bare.close();
  }
});

const builtin = "dist/mobilenet_v2_cifar10.safetensors";

test("weights: progress, cache, cut off, missing, no checkpoint", async () => {
  const page = await chromium.page();
  const result = await page.evaluate(async (builtin) => {
    const { MobileNet, clearWeights } = await import("/dist/index.js");
    await clearWeights();
    const seen = [];
    const url = `/${builtin}`;
    for (let i = 0; i < 2; i++) (await MobileNet.load(url, { onProgress: (p) => seen.push(p) })).dispose();
    const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
    const failure = (weights) => MobileNet.load(weights).then(() => "loaded", (error) => `${error.name} ${error.code}: ${error.message}`);
    const failures = [];
    const bad = [`/cut/${builtin}`, `/half/${builtin}`, "/no/such/file", bytes.slice(0, 100_000), new Uint8Array(8), new Blob([bytes.slice(0, 100_000)]), "/empty.html"];
    for (const weights of bad) failures.push(await failure(weights));
    const kept = await Promise.all((await caches.keys()).map(async (name) => (await (await caches.open(name)).keys()).map((request) => new URL(request.url).pathname)));
    const others = [bytes, bytes.buffer, new Blob([bytes]), new URL(url, location.href)];
    for (const weights of others) (await MobileNet.load(weights)).dispose();
    return { seen, failures, size: bytes.length, kept: kept.flat() };
  }, builtin);
  const fresh = result.seen.filter((p) => !p.cached);
  assert.equal(fresh.at(-1).loaded, result.size);
  assert.equal(fresh.at(-1).total, result.size);
  assert.ok(result.seen.some((p) => p.cached && p.loaded === result.size));
  const wanted = [/^WeightsError weights: .*cut off/, /^WeightsError weights: .*cut off/, /^WeightsError weights: .*404/, /^CheckpointError checkpoint/, /^CheckpointError checkpoint/, /^CheckpointError checkpoint/, /^CheckpointError checkpoint: .*text file/];
  wanted.forEach((pattern, i) => assert.match(result.failures[i], pattern));
  // Only what came whole.
  assert.deepEqual(result.kept, [`/${builtin}`]);
});

test("weights go up to the GPU as they come in", async (t) => {
  const page = await chromium.page();
  const result = await page.evaluate(async (builtin) => {
    const { MobileNet } = await import("/dist/index.js");
    let uploaded = 0;
    const { writeBuffer } = GPUQueue.prototype;
    GPUQueue.prototype.writeBuffer = function (buffer, ...rest) {
      if (buffer.usage === (GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST)) uploaded += buffer.size;
      return writeBuffer.call(this, buffer, ...rest);
    };
    const seen = [];
    const onProgress = ({ loaded, total }) => seen.push({ loaded: loaded / total, uploaded });
    const network = await MobileNet.load(`/slow/${builtin}`, { backend: "gpu", cache: false, onProgress });
    const { weights } = network.info.bytes;
    network.dispose();
    return { seen, weights, uploaded };
  }, builtin);
  const shares = result.seen.map(({ loaded, uploaded }) => [loaded, uploaded / result.uploaded]);
  t.diagnostic(shares.map(([loaded, up]) => `${(100 * up).toFixed(0)} % up when ${(100 * loaded).toFixed(0)} % are here`).join(", "));
  assert.ok(result.uploaded >= result.weights, JSON.stringify(result));
  // What had come before the last piece did is up by then.
  assert.ok(shares.some(([loaded, up]) => loaded < 0.6 && up > 0.2), JSON.stringify(shares));
  assert.ok(shares.at(-1)[1] > 0.6, JSON.stringify(shares));
});

test("what cannot be: a network beyond the device's limits, a picture that is none, an unknown option", async () => {
  const page = await chromium.page();
  const failures = await page.evaluate(async () => {
    const { MobileNet } = await import("/dist/index.js");
    const told = (promise) => promise.then(() => "done", (error) => `${error.name} ${error.code}: ${error.message}`);
    const network = await MobileNet.load("builtin", { backend: "gpu" });
    const found = [
      await told(MobileNet.load("builtin", { backend: "gpu", size: [8000, 8000] })),
      await told(network.classify(new Blob(["no picture"]))),
      await told(network.classify(document.createElement("video"))),
      await told(MobileNet.load("builtin", { prefered: [] })),
    ];
    network.dispose();
    return found;
  });
  const wanted = [/^LimitsError limits: .*max_storage_buffer_binding_size/, /^InputError input: .*decoded/, /^InputError input: .*loadeddata/, /^MobileNetError option: .*prefered/];
  wanted.forEach((pattern, i) => assert.match(failures[i], pattern));
  quiet(page);
});

test("a browser with WebGPU and no adapter, and a device without memory", async () => {
  const page = await chromium.page();
  const result = await page.evaluate(async () => {
    const { MobileNet, NoWebGPUError, OutOfMemoryError } = await import("/dist/index.js");
    const failure = (promise) => promise.then(() => "loaded", (error) => error);
    const { requestAdapter } = GPU.prototype;
    GPU.prototype.requestAdapter = async () => null;
    const none = await failure(MobileNet.load("builtin", { backend: "gpu" }));
    const { backend, note } = (await MobileNet.load("builtin")).info;
    GPU.prototype.requestAdapter = requestAdapter;
    // What a driver says that has no memory left, at the first buffer of weights.
    const { createBuffer, pushErrorScope, popErrorScope } = GPUDevice.prototype;
    const scopes = [];
    let full = false;
    GPUDevice.prototype.createBuffer = function (descriptor) {
      // What a browser that has no memory to map throws, nobody catches: so no weights may be mapped.
      if (descriptor.mappedAtCreation && descriptor.usage & GPUBufferUsage.STORAGE) throw new RangeError("no memory to map");
      full ||= descriptor.usage === (GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST);
      return createBuffer.call(this, descriptor);
    };
    GPUDevice.prototype.pushErrorScope = function (filter) {
      scopes.push(filter);
      pushErrorScope.call(this, filter);
    };
    GPUDevice.prototype.popErrorScope = async function () {
      const told = full && scopes.at(-1) === "out-of-memory";
      scopes.pop();
      const error = await popErrorScope.call(this);
      return told ? new GPUOutOfMemoryError("no memory left") : error;
    };
    const memory = await failure(MobileNet.load("builtin", { backend: "gpu" }));
    Object.assign(GPUDevice.prototype, { createBuffer, pushErrorScope, popErrorScope });
    const network = await MobileNet.load("builtin", { backend: "gpu" });
    network.dispose();
    return { none: [none instanceof NoWebGPUError, none.code], backend, note, memory: [memory instanceof OutOfMemoryError, memory.code, memory.message] };
  });
  assert.deepEqual(result.none, [true, "no-adapter"]);
  assert.equal(result.backend, "wasm");
  assert.match(result.note, /adapter/);
  assert.deepEqual(result.memory.slice(0, 2), [true, "out-of-memory"]);
  assert.match(result.memory[2], /smaller/);
  quiet(page);
});

test("in a worker, from an OffscreenCanvas", async () => {
  const page = await chromium.page();
  const result = await page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const worker = new Worker("/tests/worker.js", { type: "module" });
        worker.onmessage = (event) => resolve(event.data);
        worker.onerror = (event) => reject(new Error(event.message));
      }),
  );
  assert.equal(result.backend, "webgpu");
  assert.equal(result.top.length, 5);
  quiet(page);
});

test("two networks at once, and many calls at once", async () => {
  const page = await chromium.page();
  const same = await page.evaluate(async () => {
    const { MobileNet } = await import("/dist/index.js");
    const networks = await Promise.all([MobileNet.load(), MobileNet.load("builtin", { outputs: ["logits"] })]);
    const image = new Image();
    image.src = "/repository/assets/cat.png";
    const runs = Array.from({ length: 12 }, (_, i) => networks[i % 2].run(image));
    const logits = (await Promise.all(runs)).map((outputs) => String(outputs.logits.data));
    networks.forEach((network) => network.dispose());
    const after = await networks[0].run(image).catch((error) => error.code);
    return { different: new Set(logits).size, after };
  });
  assert.deepEqual(same, { different: 1, after: "disposed" });
  quiet(page);
});

test("a lost device is replaced once, then it is an error", async () => {
  const page = await chromium.page();
  const result = await page.evaluate(async () => {
    const { MobileNet } = await import("/dist/index.js");
    const network = await MobileNet.load("builtin", { backend: "gpu" });
    const image = new Image();
    image.src = "/repository/assets/cat.png";
    const before = await network.classify(image);
    const first = network.device;
    first.destroy();
    const during = await network.classify(image);
    const replaced = network.device !== first;
    network.device.destroy();
    const after = await network.classify(image).then(() => "ran", (error) => `${error.name} ${error.code}`);
    return { same: before[0].label === during[0].label && Math.abs(before[0].probability - during[0].probability) < 1e-6, replaced, after };
  });
  assert.deepEqual(result, { same: true, replaced: true, after: "DeviceLostError device-lost" });
});

test("memory stays flat over 500 inferences: WebAssembly's, JavaScript's, and what is made on the GPU", async (t) => {
  const page = await chromium.page();
  const { points, made } = await page.evaluate(async () => {
    const { MobileNet } = await import("/dist/index.js");
    const native = await import("/dist/native/mobilenet_web.js");
    // Counts what the device makes, and bytes of buffers and textures that are neither destroyed nor collected.
    const gpu = { made: {}, bytes: 0 };
    const collected = new FinalizationRegistry((bytes) => (gpu.bytes -= bytes));
    const sizeOf = { createBuffer: ({ size }) => size, createTexture: ({ size }) => 4 * size.width * size.height };
    for (const method of ["createBuffer", "createTexture", "createBindGroup", "createComputePipeline", "createShaderModule", "createQuerySet"]) {
      const original = GPUDevice.prototype[method];
      GPUDevice.prototype[method] = function (descriptor) {
        const object = original.call(this, descriptor);
        gpu.made[method] = (gpu.made[method] ?? 0) + 1;
        const bytes = sizeOf[method]?.(descriptor) ?? 0;
        gpu.bytes += bytes;
        if (bytes) collected.register(object, bytes, object);
        return object;
      };
    }
    for (const type of [GPUBuffer, GPUTexture]) {
      const { destroy } = type.prototype;
      type.prototype.destroy = function () {
        if (collected.unregister(this)) gpu.bytes -= type === GPUBuffer ? this.size : 4 * this.width * this.height;
        destroy.call(this);
      };
    }
    const network = await MobileNet.load("builtin", { backend: "gpu" });
    const { memory } = await native.default();
    const image = new Image();
    image.src = "/repository/assets/cat.png";
    await image.decode();
    const bitmap = await createImageBitmap(image);
    const measure = async () => {
      for (let i = 0; i < 3; i++) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return { wasm: memory.buffer.byteLength, js: performance.memory.usedJSHeapSize, gpu: gpu.bytes, made: { ...gpu.made } };
    };
    const points = [];
    for (let i = 0; i <= 500; i++) {
      await network.classify(bitmap);
      if (i % 100 === 0) points.push(await measure());
    }
    // Pictures of other sizes, and several under way at once.
    const sizes = await Promise.all([90, 91, 92, 93].map((width) => createImageBitmap(image, { resizeWidth: width, resizeHeight: 70 })));
    for (let i = 0; i < 20; i++) await Promise.all(sizes.map((size) => network.classify(size)));
    points.push(await measure());
    for (let i = 0; i < 20; i++) await Promise.all(sizes.map((size) => network.classify(size)));
    points.push(await measure());
    network.dispose();
    const { made } = await measure();
    return { points, made };
  });
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;
  t.diagnostic(points.map((p) => `wasm ${megabytes(p.wasm)}, js ${megabytes(p.js)}, gpu ${megabytes(p.gpu)}`).join("; "));
  t.diagnostic(`made on the device: ${JSON.stringify(made)}`);
  const [, first, last, changing, changed] = [points[0], points[1], points[5], points[6], points[7]];
  assert.equal(last.wasm, first.wasm);
  assert.ok(last.js - first.js < 1e6, JSON.stringify(points));
  assert.ok(first.gpu > 1e6, JSON.stringify(points));
  assert.equal(last.gpu, first.gpu);
  assert.deepEqual(last.made, first.made);
  assert.ok(changed.gpu <= changing.gpu, JSON.stringify(points));
  quiet(page);
});

test("layers are timed, and the bench's record is one that a network takes", async (t) => {
  const page = await chromium.page();
  const result = await page.evaluate(async () => {
    const { MobileNet } = await import("/dist/index.js");
    const network = await MobileNet.load("builtin", { backend: "gpu" });
    const profile = await network.profile();
    const told = [];
    const bench = await network.bench((done, total) => told.push([done, total]));
    const tuned = await MobileNet.load("builtin", { backend: "gpu", tuning: bench.record });
    const plan = tuned.plan;
    const bad = await MobileNet.load("builtin", { tuning: "{}" }).then(() => "loaded", (error) => error.code);
    return { profile, bench, told, plan, bad };
  });
  assert.ok(result.profile.steps.length > 10 && result.profile.sum > 0);
  assert.ok(Math.abs(result.profile.steps.reduce((sum, s) => sum + s.share, 0) - 1) < 1e-6);
  const candidates = result.bench.layers.flatMap((layer) => layer.candidates);
  assert.ok(candidates.every((c) => c.right), JSON.stringify(result.bench.layers));
  assert.ok(result.bench.layers.some((layer) => layer.candidates.length > 3));
  // Fused blocks, tried by themselves, leave no layer to fewer kernels than it has.
  for (const { op, case: name, candidates } of result.bench.layers.filter(({ op }) => op === "depthwise")) {
    for (const kernel of ["direct", "strip"]) assert.ok(candidates.some((c) => c.variant === kernel), `${op} ${name} has no ${kernel}: ${JSON.stringify(candidates)}`);
  }
  assert.ok(result.bench.layers.some(({ op }) => op === "inverted_residual"));
  assert.deepEqual(result.told.at(-1)[0], result.told.at(-1)[1]);
  const record = JSON.parse(result.bench.record);
  t.diagnostic(`${result.bench.layers.length} cases, ${candidates.length} candidates, clock ${result.bench.clock}, device ${JSON.stringify(record.device)}`);
  assert.ok(JSON.stringify(result.plan).includes("record") || JSON.stringify(result.plan).includes("measured"), JSON.stringify(result.plan.steps[0]));
  assert.equal(result.bad, "option");
  quiet(page);
});
