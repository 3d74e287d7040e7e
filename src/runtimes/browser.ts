// limbeck in a browser, in a page or a worker: compiled modules beside the script, WebGPU from navigator, models and data under URLs or as bytes.

import { ownGpu } from "./gpu.ts";
import { opfsFiles } from "./handleFiles.ts";
import type { Build, Runtime, ThreadStart } from "./runtime.ts";
import { reasonOf, startOn } from "./threadLine.ts";
import { fetchModule, urls } from "./urls.ts";

/** Written out, so that bundlers see which files belong to the script. */
const MODULES: Readonly<Record<Build, () => URL>> = {
  single: () => new URL("limbeck.single.wasm", import.meta.url),
  threads: () => new URL("limbeck.threads.wasm", import.meta.url),
  "fast.single": () => new URL("limbeck.fast.single.wasm", import.meta.url),
  "fast.threads": () => new URL("limbeck.fast.threads.wasm", import.meta.url),
  inference: () => new URL("limbeck.inference.wasm", import.meta.url),
};

export const browser: Runtime = {
  name: "browser",

  cores: () => navigator.hardwareConcurrency,

  compile: (build) => fetchModule(MODULES[build]()),

  oneThread() {
    if (!globalThis.crossOriginIsolated)
      return "shared memory needs cross-origin isolation (Cross-Origin-Opener-Policy: same-origin, Cross-Origin-Embedder-Policy: require-corp)";
    return "document" in globalThis
      ? "the thread of a page may not wait for others; run limbeck in a worker"
      : undefined;
  },

  startThread(start: ThreadStart): Promise<void> {
    const worker = new Worker(new URL("thread.browser.js", import.meta.url), { type: "module" });
    const { serves, ended } = startOn(worker, start);
    worker.onerror = (event) => ended(reasonOf(event));
    return serves;
  },

  gpu: async () => ownGpu(),

  ...urls,

  folder: (path) => (path.startsWith("opfs:") ? opfsFiles(path) : urls.folder(path)),
};

export { browser as runtime };
