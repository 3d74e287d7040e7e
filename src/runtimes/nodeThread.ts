// Entry of a worker thread in Node (also Deno and Bun, which have node:worker_threads). Built to dist/thread.js.

import { parentPort, workerData } from "node:worker_threads";
import { serveThread } from "../executors/thread.ts";
import type { ThreadStart } from "./runtime.ts";

serveThread(workerData as ThreadStart, () => parentPort?.postMessage("ready"));
