// What a visitor downloads, weights apart. The module under test holds what the tests call besides, so the one that is
// published is smaller.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { brotliCompressSync } from "node:zlib";

const goals = { raw: 1_000_000, brotli: 350_000 };

test("the WebAssembly is small", { skip: process.env.FAST === "1" && "not optimised" }, (t) => {
  const bytes = readFileSync(new URL("../dist/native/mobilenet_web_bg.wasm", import.meta.url));
  const found = { raw: bytes.length, brotli: brotliCompressSync(bytes).length };
  t.diagnostic(`${found.raw} bytes, ${found.brotli} with brotli`);
  for (const [kind, goal] of Object.entries(goals)) assert.ok(found[kind] <= goal, `${kind}: ${found[kind]} bytes of ${goal} (web/README.md, size)`);
});
