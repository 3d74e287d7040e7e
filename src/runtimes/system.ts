// What Node, Deno and Bun have in common, through their node: modules: compiled modules from dist/, threads from node:worker_threads, files.

import { readFile } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import { Worker } from "node:worker_threads";
import { SYNC_STOP } from "../../assembly/layout.ts";
import { LimbeckError } from "../errors.ts";
import { fail, words } from "../executors/thread.ts";
import { downloads } from "./nodeDownloads.ts";
import { nodeFiles, readPath } from "./nodeFiles.ts";
import { processes } from "./nodeProcesses.ts";
import type { Build, Runtime, ThreadStart } from "./runtime.ts";

/** A file of dist/, seen from there (bundled) or from src/runtimes/ (tests). */
function built(file: string): URL {
  const here = new URL(".", import.meta.url);
  return new URL(here.pathname.endsWith("/src/runtimes/") ? `../../dist/${file}` : file, here);
}

export const system = {
  cores: availableParallelism,

  memory: totalmem,

  async compile(build: Build): Promise<WebAssembly.Module> {
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

  processes,

  downloads: () => downloads(),

  folder: (path: string) => nodeFiles(path),

  readFile: readPath,
} satisfies Omit<Runtime, "name">;
