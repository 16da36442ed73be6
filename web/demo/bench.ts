/** The bench: every kernel on every layer, drawn, and the record to take along. */

import type { Bench, MobileNet, Profile } from "mobilenet-wgpu";
import { byId, make, ms, track } from "./elements.js";

export function drawProfile(profile: Profile): void {
  const head = ["Layer and kernel", "Time", "Share", "GFLOP/s"].map((text, i) => make("th", i > 0 ? "number" : "", text));
  const rows = profile.steps.map((step) =>
    make(
      "tr",
      "",
      make("td", "", make("span", "name", step.node), make("span", "quiet", `${step.op} / ${step.variant}`)),
      make("td", "number", ms(step.ns)),
      make("td", "number", `${(step.share * 100).toFixed(1)} %`),
      make("td", "number", step.gflops.toFixed(1)),
    ),
  );
  const by = profile.clock === "timestamps" ? "the GPU's timestamps" : "the page's clock";
  const table = make("table", "", make("thead", "", make("tr", "", ...head)), make("tbody", "", ...rows));
  byId("layers").replaceChildren(make("h2", "", `${profile.steps.length} layers, ${ms(profile.sum)} together, by ${by}`), make("div", "scroll", table));
}

function layer({ op, case: problem, nodes, candidates }: Bench["layers"][number]): HTMLElement {
  const slowest = Math.max(...candidates.map((c) => c.ns ?? 0), 1);
  const ranked = [...candidates].sort((a, b) => (a.ns ?? Infinity) - (b.ns ?? Infinity));
  const rows = ranked.map((c) =>
    make("div", "candidate", make("span", "", c.variant), track((c.ns ?? slowest) / slowest, !c.right), make("span", "number", c.ns === null ? "wrong" : ms(c.ns))),
  );
  return make("div", "layer", make("h3", "", `${op} ${problem}`), make("p", "quiet", nodes.join(", ")), ...rows);
}

/** Wires the tab; `network` is the one that is loaded. */
export function benchTab(network: () => MobileNet | undefined): void {
  const [run, download, progress, status] = [byId<HTMLButtonElement>("run-bench"), byId<HTMLButtonElement>("download"), byId<HTMLProgressElement>("bench-progress"), byId("bench-status")];
  let record: string | undefined;
  run.addEventListener("click", async () => {
    const loaded = network();
    if (!loaded) return;
    run.disabled = true;
    progress.hidden = false;
    progress.value = 0;
    status.textContent = "Measuring …";
    try {
      const bench = await loaded.bench((done, total) => (progress.value = done / total));
      record = bench.record;
      download.disabled = false;
      const kernels = bench.layers.reduce((all, { candidates }) => all + candidates.length, 0);
      status.textContent = `${kernels} kernels on ${bench.layers.length} problems, the fastest of each first.`;
      byId("bench-result").replaceChildren(...bench.layers.map(layer));
    } catch (error) {
      status.textContent = error instanceof Error ? error.message : String(error);
    } finally {
      run.disabled = false;
      progress.hidden = true;
    }
  });
  download.addEventListener("click", () => {
    if (!record) return;
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(new Blob([record], { type: "application/json" })), download: "tuning.json" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}
