// The three engines behind one interface: `await start()` before any clock, then `load(model)` gives `run(values)` for one
// picture, normalised, [height, width, 3], which gives the logits in host memory.

import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-webgpu";
import * as ort from "onnxruntime-web/webgpu";

const bytes = async (url) => (await fetch(url)).arrayBuffer();

export const ours = {
  async start() {
    const { MobileNet } = await import(/* @vite-ignore */ new URL("/dist/index.js", location.origin).href);
    this.MobileNet = MobileNet;
    await (await import(new URL("/dist/native/mobilenet_web.js", location.origin).href)).default();
  },
  async load({ checkpoint, tuning }) {
    const network = await this.MobileNet.load(checkpoint, { backend: "gpu", outputs: ["logits"], cache: false, ...(tuning ? { tuning } : {}) });
    return { run: async (values) => (await network.runTensor(values)).logits.data, network };
  },
};

export const tfjs = {
  async start() {},
  async load({ exported, size: [height, width] }) {
    await tf.setBackend("webgpu");
    await tf.ready();
    const [steps, data] = [await (await fetch(`${exported}.json`)).json(), new Float32Array(await bytes(`${exported}.bin`))];
    const tensor = ({ offset, shape }) => tf.tensor(data.subarray(offset, offset + shape.reduce((a, b) => a * b, 1)), shape);
    const layers = steps.map((step) => ({ ...step, weight: step.weight && tensor(step.weight), bias: step.bias && tensor(step.bias) }));
    const forward = (values) => {
      const made = { input: tf.tensor(values, [1, height, width, 3]) };
      for (const { op, name, source, other, stride, padding: [top, left, bottom, right], activation, weight, bias } of layers) {
        const x = made[source];
        const pad = [[0, 0], [top, bottom], [left, right], [0, 0]];
        if (op === "conv") made[name] = tf.fused.conv2d({ x, filter: weight, strides: stride, pad, bias, activation: activation ?? "linear" });
        else if (op === "depthwise") made[name] = tf.fused.depthwiseConv2d({ x, filter: weight, strides: stride, pad, bias, activation: activation ?? "linear" });
        else if (op === "add") made[name] = tf.add(x, made[other]);
        else if (op === "pool") made[name] = tf.mean(x, [1, 2]);
        else made[name] = tf.fused.matMul({ a: x, b: weight, bias });
      }
      return made.logits;
    };
    return {
      async run(values) {
        const logits = tf.tidy(() => forward(values));
        const found = await logits.data();
        logits.dispose();
        return found;
      },
    };
  },
};

export const ortweb = {
  async start() {
    ort.env.wasm.wasmPaths = new URL("/bench/node_modules/onnxruntime-web/dist/", location.origin).href;
    ort.env.wasm.numThreads = 1;
  },
  async load({ exported, size: [height, width] }) {
    const session = await ort.InferenceSession.create(await bytes(`${exported}.onnx`), { executionProviders: ["webgpu"] });
    return {
      async run(values) {
        const planes = new Float32Array(values.length);
        const count = height * width;
        for (let i = 0; i < count; i++) for (let c = 0; c < 3; c++) planes[c * count + i] = values[3 * i + c];
        return (await session.run({ input: new ort.Tensor("float32", planes, [1, 3, height, width]) })).logits.data;
      },
    };
  },
};

export const engines = { ours, tfjs, ortweb };
