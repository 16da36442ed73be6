// The package as its users have it: packed, installed in an empty folder, its types checked, bundled by vite, served by
// vite while they develop, and as it is by a plain module script.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build, createServer } from "vite";
import { open } from "./browser.mjs";

const web = join(dirname(fileURLToPath(import.meta.url)), "..");
const folder = mkdtempSync(join(tmpdir(), "mobilenet-user-"));
const run = (program, ...args) => execFileSync(program, args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
let chromium;

before(async () => {
  const [{ filename }] = JSON.parse(execFileSync("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder], { cwd: web, encoding: "utf8" }));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "user", private: true, type: "module" }));
  run("npm", "install", "--offline", "--no-audit", "--no-fund", `./${filename}`);
  copyFileSync(join(web, "../assets/cat.png"), join(folder, "cat.png"));
  const page = (script) => `<!doctype html><title>working</title><img src="./cat.png" alt="">${script}`;
  // As web/README.md has it.
  const main = `import { MobileNet } from "mobilenet-wgpu";
const network = await MobileNet.load("builtin");
const [best] = await network.classify(document.querySelector("img")!);
document.title = best!.label;
`;
  writeFileSync(join(folder, "main.ts"), main);
  writeFileSync(join(folder, "index.html"), page('<script type="module" src="./main.ts"></script>'));
  const importmap = '<script type="importmap">{ "imports": { "mobilenet-wgpu": "./node_modules/mobilenet-wgpu/dist/index.js" } }</script>';
  writeFileSync(join(folder, "plain.html"), page(`${importmap}<script type="module">${main.replaceAll("!", "")}</script>`));
  chromium = await open({ folders: { "/user/": folder } });
});
after(async () => {
  await chromium.close();
  rmSync(folder, { recursive: true });
});

/** What the page finds in the picture. */
async function found(address) {
  const page = await chromium.page();
  await page.goto(address);
  await page.waitForFunction(() => document.title !== "working");
  assert.deepEqual(page.said.filter((line) => /^pageerror/.test(line)), []);
  return await page.title();
}

test("its types are right for a bundler's and for Node's resolution, with the types of WebGPU and without", () => {
  const uses = `import { MobileNet, WeightsError, clearWeights, type LoadOptions, type Prediction, type Source } from "mobilenet-wgpu";
export async function all(video: HTMLVideoElement, frame: VideoFrame, file: File): Promise<Prediction[]> {
  const options: LoadOptions = { backend: "gpu", outputs: ["embedding"], onProgress: ({ loaded, total }) => console.log(loaded, total) };
  const network = await MobileNet.load(file, options).catch((error: unknown) => {
    throw error instanceof WeightsError ? new Error(error.code) : error;
  });
  const sources: Source[] = [video, frame, file, new OffscreenCanvas(1, 1), new ImageData(1, 1)];
  const vector: Float32Array = await network.embed(sources[0]!);
  await clearWeights();
  console.log(vector.length, network.info.device?.f16, (await network.profile()).steps[0]?.variant);
  return await network.classify(video, { topK: 3 });
}
`;
  writeFileSync(join(folder, "uses.ts"), uses);
  writeFileSync(join(folder, "device.ts"), `import { MobileNet } from "mobilenet-wgpu";
export const device = async (): Promise<GPUDevice | null> => (await MobileNet.load()).device;
`);
  const strict = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--lib", "es2022,dom,dom.iterable"];
  const tsc = (...args) => {
    try {
      return run(join(web, "node_modules/.bin/tsc"), ...strict, ...args);
    } catch (error) {
      return error.stdout;
    }
  };
  for (const [module, resolution] of [["es2022", "bundler"], ["nodenext", "nodenext"]]) {
    const as = ["--module", module, "--moduleResolution", resolution];
    assert.equal(tsc(...as, "main.ts", "uses.ts"), "");
    assert.equal(tsc(...as, "--typeRoots", join(web, "node_modules/@webgpu"), "--types", "types", "main.ts", "uses.ts", "device.ts"), "");
  }
});

test("bundled by vite", async () => {
  await build({ root: folder, base: "./", configFile: false, logLevel: "warn", build: { target: "es2022" } });
  assert.equal(await found(`${chromium.origin}/user/dist/`), "cat");
});

test("served by vite while one develops", async () => {
  const server = await createServer({ root: folder, configFile: false, logLevel: "warn", server: { port: 0, host: "127.0.0.1" }, optimizeDeps: { exclude: ["mobilenet-wgpu"] } });
  await server.listen();
  try {
    assert.equal(await found(server.resolvedUrls.local[0]), "cat");
  } finally {
    await server.close();
  }
});

test("as it is, by a module script and an import map", async () => {
  assert.equal(await found(`${chromium.origin}/user/plain.html`), "cat");
});

test("WebAssembly that is not where it should be is an error that says what to do", async () => {
  const page = await chromium.page();
  const error = await page.evaluate(async () => {
    const { MobileNet } = await import("/user/node_modules/mobilenet-wgpu/dist/index.js");
    return await MobileNet.load("builtin", { wasm: "/empty.html" }).then(() => "loaded", (error) => `${error.name} ${error.code}: ${error.message}`);
  });
  assert.match(error, /^MobileNetError wasm: .*optimizeDeps/);
});
