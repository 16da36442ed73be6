/** Bringing a checkpoint's bytes in: as they come, with progress, kept in the Cache API. */

import { WeightsError } from "./errors.js";

export interface Progress {
  /** Bytes that have arrived. */
  loaded: number;
  /** Bytes in all, where the server says so. */
  total: number | undefined;
  /** Whether they come from the cache. */
  cached: boolean;
}

export interface FetchOptions {
  /** Keep the weights in the Cache API, and take them from there. Default: true. */
  cache?: boolean;
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

const CACHE = "mobilenet-wgpu-weights-1";

/** The cache, where there is one: it is missing in insecure contexts and may be refused in private windows. */
async function openCache(wanted: boolean): Promise<Cache | undefined> {
  if (!wanted || typeof caches === "undefined") return undefined;
  try {
    return await caches.open(CACHE);
  } catch {
    return undefined;
  }
}

/** Forgets all weights that were kept. */
export async function clearWeights(): Promise<void> {
  if (typeof caches !== "undefined") await caches.delete(CACHE);
}

/** Takes a checkpoint's bytes, and knows the whole file's length once it has seen its header. */
export interface Sink {
  push(bytes: Uint8Array): void;
  length(): number | undefined;
  finish(): void;
}

/** A checkpoint whose bytes can be had. */
export interface Opened {
  address: string;
  body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Bytes in all, if the server says so. */
  length?: number | undefined;
  cached: boolean;
  /** Where to keep it. */
  cache?: Cache | undefined;
}

/** Opens an address: from the cache, if it is there, or by the network. */
export async function openWeights(url: string | URL, options: FetchOptions): Promise<Opened> {
  const address = String(url);
  const cache = await openCache((options.cache ?? true) && /^https?:/.test(new URL(address, self.location.href).protocol));
  const kept = await cache?.match(address);
  if (kept) return opened(kept, address, true);
  let response: Response;
  try {
    response = await fetch(address, options.signal ? { signal: options.signal } : {});
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new WeightsError("weights", `${address} could not be fetched (${String(error)}): check the address, the connection, and CORS`, { cause: error });
  }
  if (!response.ok) {
    throw new WeightsError("weights", `${address}: the server answers ${response.status} ${response.statusText}; check the address`);
  }
  return { ...opened(response, address, false), cache };
}

function opened(response: Response, address: string, cached: boolean): Opened {
  if (!response.body) throw new WeightsError("weights", `${address}: the server answers nothing; check the address`);
  const header = response.headers.get("content-length");
  // Of a compressed transfer the header counts other bytes than those that we get.
  const length = header !== null && !response.headers.get("content-encoding") ? Number(header) : undefined;
  return { address, body: response.body, length, cached };
}

/** Brings a checkpoint's bytes to `sink` as they come, and into the cache beside, until `stopped`. */
export async function pour(from: Opened, sink: Sink, options: FetchOptions, stopped: () => boolean): Promise<void> {
  const { address, cached } = from;
  const reader = from.body.getReader();
  const copy = from.cache && keep(from.cache, from);
  let loaded = 0;
  const total = () => from.length ?? sink.length();
  const cutOff = (cause?: unknown) =>
    new WeightsError("weights", `${address}: cut off after ${loaded} of ${total() ?? "?"} bytes; load it again`, { cause });
  const next = () =>
    reader.read().catch((error: unknown) => {
      throw options.signal?.aborted ? error : cutOff(error);
    });
  try {
    for (let part = await next(); !part.done && !stopped(); part = await next()) {
      sink.push(part.value);
      copy?.add(part.value);
      loaded += part.value.length;
      options.onProgress?.({ loaded, total: total(), cached });
    }
    if (!stopped()) {
      if (loaded < (total() ?? 0)) throw cutOff();
      sink.finish();
      await copy?.close(true);
    }
  } finally {
    // Of no use any more where not all came; nothing more to do where it did.
    void copy?.close(false);
    reader.cancel().catch(() => undefined);
  }
}

/** A copy for the cache, which takes what arrives whole. A full disk is no error. */
function keep(cache: Cache, { address, length }: Opened) {
  let to: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({ start: (controller) => void (to = controller), cancel: () => void (to = undefined) });
  const headers: HeadersInit = length === undefined ? {} : { "content-length": String(length) };
  const kept = cache.put(address, new Response(body, { headers })).catch(() => void (to = undefined));
  return {
    add: (bytes: Uint8Array) => to?.enqueue(bytes),
    close: (whole: boolean) => {
      if (whole) to?.close();
      else to?.error(new Error("not whole"));
      to = undefined;
      return kept;
    },
  };
}
