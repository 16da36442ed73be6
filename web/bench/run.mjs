// Ours against TensorFlow.js and ONNX Runtime Web on WebGPU, in one Chromium, on the same values, outputs checked.
//
//   node web/bench/run.mjs NAME=CHECKPOINT_FOLDER=EXPORTED …     (paths below MOBILENET_TEST_ASSETS and below web/bench)
//
// Cold: from modules loaded to the first logits, weights and pipelines included, each in a page of its own. Warm: from
// values in host memory to logits in host memory, the engines in turn. Medians; milliseconds.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { open } from "../tests/browser.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const [colds, rounds] = [Number(process.env.COLD ?? 3), Number(process.env.ROUNDS ?? 15)];
const bundler = join(here, "../node_modules/.bin/esbuild");
execFileSync(bundler, [join(here, "engines.js"), "--bundle", "--format=esm", "--log-level=error", `--outfile=${join(here, "bundle.js")}`], { stdio: "inherit" });
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const names = ["ours", "tfjs", "ortweb"];
const chromium = await open();

/** In the page: loads engines, runs them, checks. */
async function measure({ names, folder, exported, rounds }) {
  const { engines } = await import("/bench/bundle.js");
  const { tensors, toNhwc, relativeError } = await import("/tests/golden.js");
  const golden = await tensors(`/assets/models/${folder}/golden.safetensors`);
  const index = Object.keys(golden).find((name) => name.startsWith("input_")).slice("input_".length);
  const [height, width] = golden[`input_${index}`].shape.slice(-2);
  const values = toNhwc(golden[`input_${index}`]);
  const model = { checkpoint: `/assets/models/${folder}/model.safetensors`, exported: `/bench/${exported}`, size: [height, width] };
  const loaded = {};
  const result = {};
  for (const name of names) {
    await engines[name].start();
    const start = performance.now();
    loaded[name] = await engines[name].load(model);
    const logits = await loaded[name].run(values);
    const cold = performance.now() - start;
    const expected = golden[`logits_${index}`].data;
    result[name] = { cold, error: relativeError(logits, expected), warm: [] };
  }
  for (let i = 0; i < rounds + 2; i++) {
    for (const name of i % 2 ? names : [...names].reverse()) {
      const start = performance.now();
      await loaded[name].run(values);
      if (i >= 2) result[name].warm.push(performance.now() - start);
    }
  }
  return result;
}

/** What the figures were measured with: without it they belong nowhere. */
async function circumstances() {
  const page = await chromium.page();
  const adapter = await page.evaluate(async () => {
    const { vendor, architecture, device, description } = (await navigator.gpu.requestAdapter()).info;
    return [vendor, architecture, device, description].filter(Boolean).join(" ");
  });
  await page.context().close();
  const version = (name) => JSON.parse(readFileSync(join(here, "node_modules", name, "package.json"))).version;
  const others = `tfjs ${version("@tensorflow/tfjs-core")}, ONNX Runtime Web ${version("onnxruntime-web")}`;
  const processor = `${cpus().length} x ${cpus()[0].model.trim()}`;
  return `${new Date().toISOString().slice(0, 10)}; Chromium ${chromium.browser.version()}; adapter ${adapter}; ${processor}; ${others}; medians of ${colds} cold and ${rounds} warm rounds`;
}

console.log(`${await circumstances()}\n`);
console.log("| model | engine | cold ms | of ours | warm ms | of ours | error |\n|---|---|---|---|---|---|---|");
for (const argument of process.argv.slice(2)) {
  const [title, folder, exported] = argument.split("=");
  const cold = Object.fromEntries(names.map((name) => [name, []]));
  for (let i = 0; i < colds; i++) {
    for (const name of names) {
      const page = await chromium.page();
      const result = await page.evaluate(measure, { names: [name], folder, exported, rounds: 0 });
      cold[name].push(result[name].cold);
      await page.context().close();
    }
  }
  const page = await chromium.page();
  const result = await page.evaluate(measure, { names, folder, exported, rounds });
  const times = Object.fromEntries(names.map((name) => [name, { cold: median(cold[name]), warm: median(result[name].warm) }]));
  const ofOurs = (name, kind) => `${(times[name][kind] / times.ours[kind]).toFixed(2)}x`;
  for (const name of names) {
    const { cold, warm } = times[name];
    const row = [title, name, cold.toFixed(0), ofOurs(name, "cold"), warm.toFixed(1), ofOurs(name, "warm"), result[name].error.toExponential(1)];
    console.log(`| ${row.join(" | ")} |`);
  }
  await page.context().close();
}
await chromium.close();
