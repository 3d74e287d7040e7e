// workerd (the program that runs Cloudflare's workers), started on a configuration.

import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** A worker of modules by name, each a file seen from the folder; the first is its entry. Writes the configuration beside them. */
export async function workerConfig(folder: string, modules: readonly (readonly [string, string])[]): Promise<string> {
  const lines = modules.map(([name, file]) => {
    const kind = file.endsWith(".wasm") ? "wasm" : "esModule";
    return `    (name = ${JSON.stringify(name)}, ${kind} = embed ${JSON.stringify(file)}),`;
  });
  const path = join(folder, "config.capnp");
  await writeFile(
    path,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = ["local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [
${lines.join("\n")}
  ],
  compatibilityDate = "2026-01-01",
);
`,
  );
  return path;
}

interface WorkerListener {
  readonly env: Readonly<Record<string, string>>;
  line(text: string): void;
  ended(reason: string): void;
}

interface Serving {
  readonly url: string;
  stop(): Promise<void>;
}

/** `line` hears what the worker prints, `ended` once why the program ended before it was stopped. */
export async function serveWorker(
  program: string,
  config: string,
  { env = {}, line = console.log, ended = () => {} }: Partial<WorkerListener> = {},
): Promise<Serving> {
  // The configuration's sockets are named on a pipe of their own.
  const child = spawn(program, ["serve", config, "--socket-addr=http=127.0.0.1:0", "--control-fd=3"], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  for (const stream of [child.stdout, child.stderr]) if (stream) createInterface(stream).on("line", line);
  const gone = new Promise<string>((resolve) => {
    child.once("error", ({ message }) => resolve(message));
    child.once("close", (code, signal) => resolve(`ended with ${signal ?? code}`));
  });
  gone.then(ended);
  const port = await new Promise<number>((resolve, reject) => {
    createInterface(child.stdio[3] as NodeJS.ReadableStream).on("line", (text) => {
      const { event, port } = JSON.parse(text);
      if (event === "listen") resolve(port);
    });
    gone.then((reason) => reject(new Error(`workerd ${reason}`)));
  });
  return {
    url: `http://127.0.0.1:${port}/`,
    async stop() {
      child.kill("SIGKILL");
      await gone;
    },
  };
}

/** The files of a folder under a URL, which is all that a worker has of files. */
export async function serveFolder(folder: string): Promise<{ url: string; close(): void }> {
  const server = createServer(async ({ url = "" }, response) => {
    const bytes = await readFile(join(folder, new URL(url, "http://localhost").pathname)).catch(() => undefined);
    response.writeHead(bytes ? 200 : 404).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
