// limbeck on Node (also Deno and Bun, through their node: modules): compiled modules from dist/, threads from node:worker_threads.

import { readFile } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import { Worker } from "node:worker_threads";
import { SYNC_STOP } from "../../assembly/layout.ts";
import { InputError, LimbeckError } from "../errors.ts";
import { fail, words } from "../executors/thread.ts";
import { downloads } from "./nodeDownloads.ts";
import { nodeFiles, readPath } from "./nodeFiles.ts";
import { processes } from "./nodeProcesses.ts";
import type { Runtime, ThreadStart } from "./runtime.ts";

/** A file of dist/, seen from there (bundled) or from src/runtimes/ (tests). */
function built(file: string): URL {
  const here = new URL(".", import.meta.url);
  return new URL(here.pathname.endsWith("/src/runtimes/") ? `../../dist/${file}` : file, here);
}

export const node: Runtime = {
  name: "node",

  cores: availableParallelism,

  memory: totalmem,

  async compile(build) {
    const file = built(`limbeck.${build}.wasm`);
    const bytes = await readFile(file).catch((cause) => {
      throw new LimbeckError("NOT_BUILT", "the compiled kernels are missing; run `npm run build`", {
        where: file.pathname,
        cause,
      });
    });
    return WebAssembly.compile(bytes);
  },

  startThread(start: ThreadStart): Promise<void> {
    const worker = new Worker(built("thread.js"), { workerData: start, name: `limbeck ${start.ith}` });
    return new Promise((resolve, reject) => {
      const ended = (reason: Error) => {
        reject(reason);
        const shared = words(start.memory);
        if (Atomics.load(shared, SYNC_STOP >> 2) === 0) fail(shared, start.ith, reason);
      };
      worker.once("message", () => {
        worker.unref();
        resolve();
      });
      worker.once("error", ended);
      worker.once("exit", (code) => ended(new Error(`the worker ended with exit code ${code}`)));
    });
  },

  async gpu() {
    // Deno has it built in.
    const own = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu;
    if (own) return own;
    const webgpu = await import("webgpu").catch((cause) => {
      const why =
        cause.code === "ERR_MODULE_NOT_FOUND"
          ? "Node has WebGPU through the package webgpu only: run `npm install webgpu`"
          : `the package webgpu does not load: ${cause.message}`;
      throw new InputError("NO_WEBGPU", why, { cause });
    });
    // Kept by nobody else: Node does not exit while this object is reachable.
    return webgpu.create([]);
  },

  processes,

  downloads: () => downloads(),

  folder: (path) => nodeFiles(path),

  readFile: readPath,
};
