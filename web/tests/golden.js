// In the page: reading safetensors, and comparing as the native tests do.

/** The tensors of a safetensors file, f32. */
export async function tensors(url) {
  const buffer = await (await fetch(url)).arrayBuffer();
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  delete header.__metadata__;
  const entries = Object.entries(header).map(([name, { shape, data_offsets: [start, end] }]) => {
    return [name, { shape, data: new Float32Array(buffer.slice(8 + length + start, 8 + length + end)) }];
  });
  return Object.fromEntries(entries);
}

/** [C, H, W] as [H, W, C]. */
export function toNhwc({ shape, data }) {
  const [channels, height, width] = shape.slice(-3);
  const out = new Float32Array(data.length);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < height * width; i++) out[i * channels + c] = data[c * height * width + i];
  }
  return out;
}

/** Norm of the difference in parts of the norm of what was expected. */
export function relativeError(found, expected) {
  if (found.length !== expected.length) return Infinity;
  let [difference, norm] = [0, 0];
  expected.forEach((value, i) => {
    difference += (found[i] - value) ** 2;
    norm += value ** 2;
  });
  return Math.sqrt(difference / norm);
}

export function best(values, n) {
  return [...values.keys()].sort((a, b) => values[b] - values[a]).slice(0, n);
}

/** What a loaded golden model gives against what is expected: the largest relative error, and whether the five best agree. */
export async function compare(network, golden) {
  const results = [];
  for (const name of Object.keys(golden).filter((n) => n.startsWith("input_"))) {
    const index = name.slice("input_".length);
    const outputs = await network.runTensor(toNhwc(golden[name]));
    for (const [kind, node] of [["logits", "logits"], ["features", "features"], ["pooled", "embedding"]]) {
      const expected = golden[`${kind}_${index}`];
      if (!expected || !outputs[node]) continue;
      const wanted = kind === "features" ? toNhwc(expected) : expected.data;
      const agree = kind !== "logits" || String(best(outputs[node].data, 5)) === String(best(wanted, 5));
      results.push({ output: `${node} ${index}`, error: relativeError(outputs[node].data, wanted), agree });
    }
  }
  return results;
}
