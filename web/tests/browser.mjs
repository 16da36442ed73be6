// A server for the package, the tests and the assets, and a real Chromium on it. WebGPU is SwiftShader's, on the CPU.

import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const web = join(dirname(fileURLToPath(import.meta.url)), "..");
export const assets = process.env.MOBILENET_TEST_ASSETS;

const types = {
  ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".css": "text/css",
  ".json": "application/json", ".jpg": "image/jpeg", ".png": "image/png",
};

/** Folders by their place on the server. */
const places = { "/assets/": assets, "/repository/": join(web, ".."), "/": web };

/** Files of the package as they should not come. */
const troubles = {
  /** Slowly. */
  "/slow/": async (response, bytes) => {
    response.writeHead(200, { "content-length": bytes.length });
    for (let at = 0; at < bytes.length; at += bytes.length >> 3) {
      response.write(bytes.subarray(at, at + (bytes.length >> 3)));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    response.end();
  },
  /** Until the connection breaks. */
  "/cut/": (response, bytes) => {
    response.writeHead(200, { "content-length": bytes.length });
    response.write(bytes.subarray(0, bytes.length >> 1));
    setTimeout(() => response.destroy(), 200);
  },
  /** Half, by a server that does not say how much there is. */
  "/half/": (response, bytes) => response.writeHead(200).end(bytes.subarray(0, bytes.length >> 1)),
};

function serve(roots, request, response) {
  const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
  if (path === "/empty.html") {
    response.writeHead(200, { "content-type": "text/html" });
    return response.end("<!doctype html><title>test</title>");
  }
  if (path === "/favicon.ico") return response.writeHead(204).end();
  for (const [prefix, sendAs] of Object.entries(troubles)) {
    if (path.startsWith(prefix)) return void sendAs(response, readFileSync(join(web, path.slice(prefix.length))));
  }
  const root = Object.keys(roots).find((prefix) => path.startsWith(prefix));
  let file = roots[root] && join(roots[root], path.slice(root.length));
  if (file && existsSync(file) && statSync(file).isDirectory()) file = join(file, "index.html");
  if (!file || !existsSync(file)) {
    response.writeHead(404);
    return response.end();
  }
  response.writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream", "content-length": statSync(file).size });
  createReadStream(file).pipe(response);
}

function executable() {
  const places = [process.env.CHROMIUM, "/usr/lib/chromium/chromium", "/usr/bin/chromium", "/usr/bin/google-chrome"];
  const found = places.find((place) => place && existsSync(place));
  if (!found) throw new Error("no Chromium: install one (Debian: apt-get install chromium), or name it in CHROMIUM");
  return found;
}

/** Opens the browser, without WebGPU if told so, and a server that has `folders` besides. */
export async function open({ webgpu = true, folders = {} } = {}) {
  const server = createServer((request, response) => serve({ ...folders, ...places }, request, response));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const args = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--js-flags=--expose-gc", "--enable-precise-memory-info"];
  if (webgpu) args.push("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader");
  else args.push("--disable-features=WebGPU", "--disable-blink-features=WebGPU");
  const browser = await chromium.launch({ executablePath: executable(), headless: true, args: ["--headless=new", ...args], ignoreDefaultArgs: ["--headless"] });
  const origin = `http://127.0.0.1:${server.address().port}`;
  const pages = [];
  return {
    origin,
    browser,
    /** A page, empty or of an address; what it says to its console is kept. */
    async page(path = "/empty.html", options = {}) {
      const context = await browser.newContext(options);
      const page = await context.newPage();
      page.said = [];
      page.on("console", (message) => page.said.push(`${message.type()}: ${message.text()}`));
      page.on("pageerror", (error) => page.said.push(`pageerror: ${error.message}`));
      page.setDefaultTimeout(300_000);
      await page.goto(origin + path);
      pages.push(page);
      return page;
    },
    async close() {
      await browser.close();
      server.close();
      server.closeAllConnections();
    },
  };
}
