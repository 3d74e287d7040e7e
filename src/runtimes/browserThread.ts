// Entry of a worker thread in a browser. Built to dist/thread.browser.js.

import { serveThread } from "../executors/thread.ts";
import type { ThreadStart } from "./runtime.ts";
import type { ThreadLine } from "./threadLine.ts";

const hear = (line: ThreadLine, { data, ports: [port] }: MessageEvent<ThreadStart>) => {
  if (port) {
    port.onmessage = (event) => hear(port, event);
    return;
  }
  serveThread(data, () => line.postMessage("ready"));
  close();
};

addEventListener("message", (event: MessageEvent<ThreadStart>) => hear(globalThis as unknown as ThreadLine, event));
