// Entry of a worker thread in a browser. Built to dist/thread.browser.js.

import { serveThread } from "../executors/thread.ts";
import type { ThreadStart } from "./runtime.ts";

addEventListener("message", ({ data }: MessageEvent<ThreadStart>) => {
  serveThread(data, () => postMessage("ready"));
  close();
});
