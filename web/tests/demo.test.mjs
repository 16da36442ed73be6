// The demo page as a visitor meets it. Screenshots are left in tests/screenshots, to be looked at.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { open } from "./browser.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const shots = join(here, "screenshots");
const cat = join(here, "../../assets/cat.png");
mkdirSync(shots, { recursive: true });
let chromium;
before(async () => (chromium = await open()));
after(() => chromium.close());

async function visit(options = {}) {
  assert.ok(existsSync(join(here, "../demo/dist/index.html")), "build the demo first: npm run build:demo");
  const page = await chromium.page("/demo/dist/", { viewport: { width: 1000, height: 800 }, ...options });
  await page.waitForFunction(() => document.querySelector("#status").textContent.includes("ready in"));
  return page;
}

const quiet = (page) => assert.deepEqual(page.said.filter((line) => /^(error|pageerror)/.test(line)), []);

test("a chosen picture and a dropped one are classified, and layers are timed", async () => {
  const page = await visit({ colorScheme: "light" });
  await page.setInputFiles("#files", cat);
  await page.waitForSelector("#top li");
  assert.equal(await page.locator("#top li").count(), 5);
  assert.equal((await page.locator("#top li").first().innerText()).split("\n")[0], "cat");
  await page.click("#profile");
  await page.waitForSelector("#layers table");
  await page.screenshot({ path: join(shots, "classify-light.png"), fullPage: true });
  await page.evaluate(async () => {
    const data = new DataTransfer();
    data.items.add(new File([await (await fetch("/repository/assets/cat.png")).blob()], "cat.png", { type: "image/png" }));
    document.querySelector("#top").replaceChildren();
    document.querySelector("#drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  });
  await page.waitForSelector("#top li");
  await page.setInputFiles("#files", { name: "no.png", mimeType: "image/png", buffer: Buffer.from("no picture") });
  await page.waitForSelector("#problem:not([hidden])");
  quiet(page);
});

test("a checkpoint of the visitor's takes the place of the built-in model, on a phone's width", async () => {
  const page = await visit({ viewport: { width: 360, height: 740 }, colorScheme: "light" });
  await page.screenshot({ path: join(shots, "start-phone-light.png") });
  await page.setInputFiles("#checkpoint", join(here, "../../cli/builtin/mobilenet_v2_cifar10.safetensors"));
  await page.waitForFunction(() => document.querySelector("#status").textContent.startsWith("mobilenet_v2_cifar10.safetensors:"));
  assert.equal(await page.getAttribute("#open", "aria-pressed"), "true");
  await page.setInputFiles("#files", cat);
  await page.waitForSelector("#top li");
  await page.click("#profile");
  await page.waitForSelector("#layers table");
  await page.screenshot({ path: join(shots, "checkpoint-phone-light.png"), fullPage: true });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth), false, "the page scrolls sideways");
  // What is no checkpoint leaves the model that is there.
  await page.setInputFiles("#checkpoint", { name: "no.safetensors", mimeType: "application/octet-stream", buffer: Buffer.from("no checkpoint") });
  await page.waitForSelector("#status.bad");
  await page.evaluate(() => document.querySelector("#top").replaceChildren());
  await page.setInputFiles("#files", cat);
  await page.waitForSelector("#top li");
  quiet(page);
});

test("the camera's frames are classified until it is stopped", async () => {
  const page = await visit({ permissions: ["camera"], colorScheme: "dark" });
  await page.click("#camera");
  await page.waitForFunction(() => document.querySelector("#times").textContent.includes("Frames per second"));
  await page.screenshot({ path: join(shots, "camera-dark.png") });
  await page.click("#camera");
  assert.equal(await page.getAttribute("#camera", "aria-pressed"), "false");
  quiet(page);
});

test("the bench gives a record to download, on a phone's width, in the dark, by keyboard", async () => {
  const page = await visit({ viewport: { width: 375, height: 740 }, colorScheme: "dark" });
  await page.focus("#tab-classify");
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.evaluate(() => document.activeElement.id), "tab-bench");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "run-bench");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#bench-result .layer", { timeout: 900_000 });
  await page.screenshot({ path: join(shots, "bench-phone-dark.png") });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  assert.equal(wide, false, "the page scrolls sideways");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
  assert.equal(download.suggestedFilename(), "tuning.json");
  // What the native tool reads: cli/tests has such a record.
  const record = JSON.parse(readFileSync(await download.path(), "utf8"));
  assert.equal(record.version, 1);
  assert.equal(record.device.backend, "webgpu");
  assert.equal(record.adapter_info.vendor, "google", JSON.stringify(record.adapter_info));
  assert.ok(Object.keys(record.cases).length > 10);
  if (process.env.KEEP_RECORD) await download.saveAs(process.env.KEEP_RECORD);
  await page.locator(".layer").nth(2).scrollIntoViewIfNeeded();
  await page.screenshot({ path: join(shots, "bench-phone-dark-layers.png") });
  await page.click("#tab-device");
  await page.screenshot({ path: join(shots, "device-phone-dark.png"), fullPage: true });
  quiet(page);
});
