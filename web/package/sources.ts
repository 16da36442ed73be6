/** What can be classified, its size in pixels, and, where there is no GPU, its pixels. */

import { InputError } from "./errors.js";

export type Source =
  | HTMLImageElement
  | HTMLVideoElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | ImageBitmap
  | VideoFrame
  | ImageData
  | Blob;

export interface Sized {
  source: Exclude<Source, Blob>;
  width: number;
  height: number;
  /** Whether it was made here, and has to be closed here. */
  ours: boolean;
}

/** `instanceof`, where a worker may lack the class. */
function is(value: unknown, name: string): boolean {
  const type = (globalThis as Record<string, unknown>)[name];
  return typeof type === "function" && value instanceof type;
}

/** The source with its size, loaded. */
export async function sized(source: Source): Promise<Sized> {
  if (is(source, "Blob")) {
    const bitmap = await createImageBitmap(source as Blob, { premultiplyAlpha: "none" }).catch((error: unknown) => {
      throw new InputError("input", `the picture cannot be decoded (${String(error)})`, { cause: error });
    });
    return { source: bitmap, width: bitmap.width, height: bitmap.height, ours: true };
  }
  if (is(source, "HTMLImageElement")) {
    const image = source as HTMLImageElement;
    await image.decode().catch((error: unknown) => {
      throw new InputError("input", `the image ${image.currentSrc} cannot be decoded (${String(error)})`, { cause: error });
    });
    return { source: image, width: image.naturalWidth, height: image.naturalHeight, ours: false };
  }
  if (is(source, "HTMLVideoElement")) {
    const video = source as HTMLVideoElement;
    if (video.readyState < 2) throw new InputError("input", "the video has no frame yet: wait for its event `loadeddata`");
    return { source: video, width: video.videoWidth, height: video.videoHeight, ours: false };
  }
  if (is(source, "VideoFrame")) {
    const frame = source as VideoFrame;
    return { source: frame, width: frame.displayWidth, height: frame.displayHeight, ours: false };
  }
  const kinds = ["HTMLCanvasElement", "OffscreenCanvas", "ImageBitmap", "ImageData"];
  if (kinds.some((kind) => is(source, kind))) {
    const { width, height } = source as { width: number; height: number };
    return { source: source as ImageBitmap, width, height, ours: false };
  }
  throw new InputError("input", `cannot classify ${Object.prototype.toString.call(source)}: give an image, video, VideoFrame, canvas, ImageBitmap, ImageData or Blob`);
}

/** The pixels of a source, RGBA; an `ImageData` has them at hand. */
export function pixels({ source, width, height }: Sized): Uint8Array {
  if (is(source, "ImageData")) return bytes((source as ImageData).data);
  const canvas = typeof OffscreenCanvas === "undefined" ? document.createElement("canvas") : new OffscreenCanvas(width, height);
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true }) as OffscreenCanvasRenderingContext2D | null;
  if (!context) throw new InputError("input", "the browser gives no 2D canvas to read pixels with");
  try {
    context.drawImage(source as CanvasImageSource, 0, 0, width, height);
    return bytes(context.getImageData(0, 0, width, height).data);
  } catch (error) {
    throw new InputError("input", `the browser does not give the picture's pixels (${String(error)}): serve it with CORS`, { cause: error });
  }
}

export const isPixels = (source: unknown) => is(source, "ImageData");
export const isBitmap = (source: unknown) => is(source, "ImageBitmap");

const bytes = (data: ArrayLike<number> & { buffer: ArrayBufferLike; byteOffset: number; byteLength: number }) =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
