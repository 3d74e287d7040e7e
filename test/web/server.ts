// Serves dist/ and the page of these tests as a careful site would. The first part of an address says under which circumstances.

import { readFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";

const root = new URL("../..", import.meta.url).pathname;
const STRICT = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'";

interface Place {
  readonly isolated?: boolean;
  readonly policy?: string;
  /** In front of the worker's script, or in its place. */
  readonly before?: string;
  readonly worker?: string;
  /** Is not served. */
  readonly missing?: string;
}

export const PLACES: Readonly<Record<string, Place>> = {
  plain: {},
  /** A worker makes no worker (src/web/threads.ts). */
  isolated: { isolated: true, before: "self.Worker = undefined;" },
  /** Nothing that trains may wait for a timer or a frame: a hidden tab has few of them. */
  untimed: {
    isolated: true,
    before:
      'for (const name of ["setTimeout", "requestAnimationFrame"]) self[name] = () => { throw new Error(name); };',
  },
  open: { policy: `${STRICT}; connect-src *` },
  unsafe: { policy: "default-src 'self'" },
  simdless: {
    before: "WebAssembly.validate = () => false; WebAssembly.compile = async () => { throw new Error('0xfd'); };",
  },
  full: {
    before:
      "FileSystemWritableFileStream.prototype.write = async () => { throw new DOMException('full', 'QuotaExceededError'); };",
  },
  storeless: {
    before: "StorageManager.prototype.getDirectory = async () => { throw new DOMException('', 'SecurityError'); };",
  },
  unmovable: { before: "delete FileSystemFileHandle.prototype.move;" },
  vanishing: {
    worker:
      "navigator.locks.request('vanishing', () => { postMessage({ alive: 'vanishing' }); setTimeout(close, 100); return new Promise(() => {}); });",
  },
  throwing: { worker: "throw new Error('boom');" },
  absent: { missing: "web.worker.js" },
  threadless: { isolated: true, missing: "thread.browser.js" },
};

export interface Site {
  readonly url: string;
  /** What was asked for. */
  readonly asked: string[];
  close(): void;
}

const TYPES: Readonly<Record<string, string>> = { js: "text/javascript", wasm: "application/wasm", html: "text/html" };

/** What a careful site says of a file. */
export function dress(response: ServerResponse, name: string, { isolated, policy = STRICT }: Place): void {
  response.setHeader("Content-Type", TYPES[name.split(".").at(-1) || "html"] ?? "application/octet-stream");
  response.setHeader("Content-Security-Policy", policy);
  if (!isolated) return;
  response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
  response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
}

/** `entry` becomes page.js. */
export async function serveSite(entry: string): Promise<Site> {
  const { outputFiles } = await build({
    ...{ absWorkingDir: root, entryPoints: [entry], bundle: true, write: false, format: "esm", platform: "neutral" },
    ...{ mainFields: ["module", "main"], external: ["/plain/web.js", "compromise/two"], conditions: ["browser"] },
  });
  const page = outputFiles[0].text;
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? "/";
    asked.push(path);
    const [, place, name = ""] = /^\/(\w+)\/([\w.-]*)$/.exec(path) ?? [];
    const found = PLACES[place ?? ""];
    const body =
      name === ""
        ? '<!doctype html><meta charset="utf-8"><title>limbeck</title><script type="module" src="page.js"></script>'
        : name === "page.js"
          ? page
          : read(name);
    const own = name === "web.worker.js" && found?.worker !== undefined ? found.worker : body;
    if (!found || own === null || name === found.missing) return void response.writeHead(404).end();
    dress(response, name, found);
    response.end(name === "web.worker.js" && found.before ? `${found.before}\n${own}` : own);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, close: () => server.close() };
}

function read(name: string): Uint8Array | null {
  try {
    return readFileSync(`${root}/dist/${name}`);
  } catch {
    return null;
  }
}
