/** MobileNet V1 and V2 in the browser, on WebGPU. */
export * from "./errors.js";
export { clearWeights, type Progress } from "./weights.js";
export type { Source } from "./sources.js";
export {
  MobileNet,
  type Bench,
  type Device,
  type Info,
  type LayerTime,
  type LoadOptions,
  type Output,
  type Outputs,
  type Prediction,
  type Profile,
  type Weights,
} from "./mobilenet.js";
