import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

// A static site that works from any folder.
export default defineConfig({
  base: "./",
  resolve: { alias: { "mobilenet-wgpu": fileURLToPath(new URL("../dist/index.js", import.meta.url)) } },
  server: { fs: { allow: [".."] } },
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: false, emptyOutDir: true },
});
