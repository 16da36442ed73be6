/** Bringing a checkpoint's bytes in: streamed with progress, kept in the Cache API. */

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

export async function fetchWeights(url: string | URL, options: FetchOptions): Promise<Uint8Array<ArrayBuffer>> {
  const address = String(url);
  const cache = await openCache((options.cache ?? true) && /^https?:/.test(new URL(address, self.location.href).protocol));
  const kept = await cache?.match(address);
  if (kept) return await read(kept, address, true, options);
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
  const bytes = await read(response, address, false, options);
  try {
    // Only what arrived whole is kept; a full disk is no error.
    await cache?.put(address, new Response(bytes, { headers: { "content-length": String(bytes.length) } }));
  } catch {
    /* not kept */
  }
  return bytes;
}

async function read(response: Response, address: string, cached: boolean, options: FetchOptions): Promise<Uint8Array<ArrayBuffer>> {
  const header = response.headers.get("content-length");
  // Of a compressed transfer the header counts other bytes than those that we get.
  const total = header !== null && !response.headers.get("content-encoding") ? Number(header) : undefined;
  let bytes = new Uint8Array(total ?? 1 << 20);
  let loaded = 0;
  const cutOff = (cause?: unknown) =>
    new WeightsError("weights", `${address}: cut off after ${loaded} of ${total ?? "?"} bytes; load it again`, { cause });
  const reader = response.body?.getReader();
  if (!reader) throw cutOff();
  for (;;) {
    let part: ReadableStreamReadResult<Uint8Array>;
    try {
      part = await reader.read();
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw cutOff(error);
    }
    if (part.done) break;
    if (loaded + part.value.length > bytes.length) {
      const larger = new Uint8Array(Math.max(2 * bytes.length, loaded + part.value.length));
      larger.set(bytes);
      bytes = larger;
    }
    bytes.set(part.value, loaded);
    loaded += part.value.length;
    options.onProgress?.({ loaded, total, cached });
  }
  if (total !== undefined && loaded < total) throw cutOff();
  return loaded === bytes.length ? bytes : bytes.slice(0, loaded);
}
