// Entry of a worker thread in Node (also Deno and Bun, which have node:worker_threads). Built to dist/thread.js.

import { parentPort, workerData } from "node:worker_threads";
import type { ThreadStart } from "./runtime.ts";
import { serveThread } from "./thread.ts";

serveThread(workerData as ThreadStart, () => parentPort?.postMessage("ready"));
