/** What can go wrong, as classes to catch and codes to switch on. Messages say what to do next. */

export type ErrorCode =
  | "no-webgpu"
  | "no-adapter"
  | "device-lost"
  | "limits"
  | "weights"
  | "checkpoint"
  | "out-of-memory"
  | "input"
  | "option"
  | "busy"
  | "disposed"
  | "wasm"
  | "device";

export class MobileNetError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
  }
}

/** The browser has no WebGPU, or no adapter for it, and the CPU was not allowed to stand in. */
export class NoWebGPUError extends MobileNetError {}
/** The device was lost, and so was the one that replaced it. Load the model again. */
export class DeviceLostError extends MobileNetError {}
/** The network does not fit the device's limits. Use a smaller size. */
export class LimitsError extends MobileNetError {}
/** The weights could not be fetched, or not to their end. */
export class WeightsError extends MobileNetError {}
/** The weights are there and are not those of a MobileNet. */
export class CheckpointError extends MobileNetError {}
/** The GPU has no memory left. */
export class OutOfMemoryError extends MobileNetError {}
/** What was given to be classified cannot be. */
export class InputError extends MobileNetError {}

const classes: Partial<Record<ErrorCode, typeof MobileNetError>> = {
  "no-webgpu": NoWebGPUError,
  "no-adapter": NoWebGPUError,
  "device-lost": DeviceLostError,
  limits: LimitsError,
  weights: WeightsError,
  checkpoint: CheckpointError,
  "out-of-memory": OutOfMemoryError,
  input: InputError,
};

export function codeOf(error: unknown): ErrorCode | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? (error.code as ErrorCode) : undefined;
}

/** The error of the native half as one of the classes above. */
export function typed(error: unknown): unknown {
  if (error instanceof MobileNetError) return error;
  const code = codeOf(error);
  if (code === undefined || !(error instanceof Error)) return error;
  return new (classes[code] ?? MobileNetError)(code, error.message, { cause: error });
}
