// Starts the bundle in a host and hears what main.ts prints there.

import { type ChildProcess, spawn } from "node:child_process";
import { createReadStream, existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Browser, type LaunchOptions, launch } from "puppeteer-core";
import { type Line, type Outcome, PREFIX } from "./line.ts";
import { serveWorker, workerConfig } from "./workerd.ts";

/** A running host. */
interface Started {
  stop(): Promise<void>;
}

/** Hears each line that the host prints, and once why it ended. */
interface Listener {
  line(text: string): void;
  ended(reason: string): void;
}

export interface Host {
  readonly name: string;
  /** The program, or why there is none. */
  readonly program: { readonly path: string } | { readonly missing: string };
  /** Whether its tests must run (LIMBECK_<NAME> is 1 or a path). */
  readonly required: boolean;
  /** Runs only tests whose path begins so, and needs no GPU. */
  readonly only?: string;
  start(path: string, folder: string, listener: Listener): Promise<Started>;
}

const key = (path: readonly string[]) => path.join(" > ");

// A test ends itself after two minutes (vitest.ts), unless its thread hangs; all that follow would wait for that host in vain.
const SILENCE_MS = 480_000;

/** The tests of one host while they run there. */
export class RemoteRun {
  readonly #outcomes = new Map<string, Outcome>();
  readonly #waiting = new Map<string, () => void>();
  /** What the host said beside its results: the last lines explain an early end. */
  readonly #said: string[] = [];
  #end: string | undefined;
  #adapter: string | null = null;
  #started: Promise<Started> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;

  /** Starts the host; returns the adapter that it has for WebGPU. */
  async start(host: Host, path: string, folder: string): Promise<string | null> {
    this.#started = host.start(path, folder, {
      line: (text) => this.#hear(text),
      ended: (reason) => this.#finish(reason),
    });
    this.#started.catch((error) => this.#finish(`did not start: ${error.message}`));
    await this.#wait("");
    if (this.#end !== undefined) throw new Error(`${host.name} ${this.#end}\n${this.#said.join("\n")}`);
    return this.#adapter;
  }

  async stop(): Promise<void> {
    this.#finish("was stopped");
    await (await this.#started?.catch(() => undefined))?.stop();
  }

  /** The outcome of a test when it is there. */
  async outcome(path: readonly string[]): Promise<Outcome> {
    const id = key(path);
    if (!this.#outcomes.has(id)) await this.#wait(id);
    const found = this.#outcomes.get(id);
    if (found) return found;
    // A file that could not be imported has one outcome for all its tests.
    const whole = this.#outcomes.get(path[0]);
    const message = whole?.message ?? `the host ${this.#end} before it ran this test\n${this.#said.join("\n")}`;
    return { path, state: "fail", message, stack: whole?.stack };
  }

  /** What was run but not asked for. */
  get outcomes(): ReadonlyMap<string, Outcome> {
    return this.#outcomes;
  }

  #hear(text: string): void {
    this.#listen();
    if (!text.startsWith(PREFIX)) {
      this.#said.push(text);
      if (this.#said.length > 20) this.#said.shift();
      return;
    }
    const line = JSON.parse(text.slice(PREFIX.length)) as Line;
    if (line === "end") this.#finish("ended");
    else if ("adapter" in line) {
      this.#adapter = line.adapter;
      this.#wake("");
    } else {
      this.#outcomes.set(key(line.path), line);
      this.#wake(key(line.path));
    }
  }

  #listen(): void {
    clearTimeout(this.#silence);
    if (this.#end !== undefined) return;
    this.#silence = setTimeout(() => this.#finish(`printed nothing for ${SILENCE_MS / 60_000} minutes`), SILENCE_MS);
  }

  #finish(reason: string): void {
    this.#end ??= reason;
    clearTimeout(this.#silence);
    for (const id of this.#waiting.keys()) this.#wake(id);
  }

  /** The empty id is the host's first word. */
  #wait(id: string): Promise<void> {
    return new Promise<void>((resolve) => (this.#end === undefined ? this.#waiting.set(id, resolve) : resolve()));
  }

  #wake(id: string): void {
    this.#waiting.get(id)?.();
  }
}

/** The names of the bundle's tests: the bundle itself says them, in Node. */
export async function listTests(folder: string): Promise<Outcome[]> {
  const lines: string[] = [];
  const child = spawn(process.execPath, [join(folder, "main.js"), "--list"], { stdio: ["ignore", "pipe", "inherit"] });
  createInterface(child.stdout).on("line", (line) => lines.push(line));
  await new Promise((resolve) => child.once("close", resolve));
  const parsed = lines.filter((line) => line.startsWith(PREFIX)).map((line) => JSON.parse(line.slice(PREFIX.length)));
  if (parsed.pop() !== "end")
    throw new Error(`the bundle's tests could not be listed:\n${lines.slice(-20).join("\n")}`);
  const outcomes = parsed as Outcome[];
  const broken = outcomes.find(({ state }) => state === "fail");
  if (broken) throw new Error(`${broken.path}: ${broken.message}`);
  const ids = outcomes.map(({ path }) => key(path));
  const twice = ids.find((id, i) => ids.indexOf(id) < i);
  if (twice) throw new Error(`two tests are called ${twice}`);
  return outcomes;
}

/** What .ci/run installs. */
const INSTALLED = fileURLToPath(new URL("../../.ci/runtimes/node_modules", import.meta.url));

/**
 * Whether and where a host is. Its variable says 0: it is not looked for; 1: it must be found; a path: it is that program. Unset: it
 * runs where it is found, unless it is there for WebGPU too and LIMBECK_WEBGPU=0 wants no such tests at all.
 */
export function find(
  name: string,
  programs: readonly string[],
  webgpu = true,
): Pick<Host, "name" | "program" | "required"> {
  const variable = `LIMBECK_${name.toUpperCase().replace(" ", "")}`;
  const wanted = process.env[variable];
  const missing = (reason: string) => ({
    name,
    required: wanted !== undefined && wanted !== "0",
    program: { missing: reason },
  });
  if (wanted === "0") return missing(`${variable}=0`);
  if (wanted === undefined && webgpu && process.env.LIMBECK_WEBGPU === "0") return missing("LIMBECK_WEBGPU=0");
  const folders = [join(INSTALLED, ".bin"), ...(process.env.PATH ?? "").split(delimiter)];
  const candidates =
    wanted !== undefined && wanted !== "1"
      ? [wanted]
      : folders.flatMap((folder) => programs.map((p) => join(folder, p)));
  const path = candidates.find((candidate) => existsSync(candidate));
  return path
    ? { name, required: wanted !== undefined, program: { path } }
    : missing(`no ${candidates.length === 1 ? candidates[0] : programs.join(" or ")} was found`);
}

/** The tests of what differs from host to host, for those that have no WebGPU or have had all tests already. */
const RUNTIMES = "test/runtimes/";

/** A program that runs scripts and prints. */
function engine(
  found: Pick<Host, "name" | "program" | "required">,
  options: readonly string[] = [],
  only?: string,
): Host {
  return {
    ...found,
    only,
    async start(path, folder, { line, ended }) {
      const own = only === undefined ? [] : [`--only=${only}`];
      const child: ChildProcess = spawn(path, [...options, join(folder, "main.js"), ...own], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      for (const stream of [child.stdout, child.stderr]) if (stream) createInterface(stream).on("line", line);
      child.once("error", ({ message }) => ended(message));
      child.once("close", (code, signal) => ended(`ended with ${signal ?? code}`));
      return {
        async stop() {
          if (child.exitCode !== null || child.signalCode !== null) return;
          child.kill("SIGKILL");
          await new Promise((resolve) => child.once("close", resolve));
        },
      };
    },
  };
}

const deno = engine(find("Deno", ["deno"]), ["run", "--allow-all", "--no-config"]);
const bun = engine(find("Bun", ["bun"], false), ["run"], RUNTIMES);
const nodes = [24, 26].map((version) =>
  engine(find(`Node ${version}`, [`../node-${version}/bin/node`, `node-${version}`], false), [], RUNTIMES),
);

const TYPES: Readonly<Record<string, string>> = { js: "text/javascript", wasm: "application/wasm" };

/** The tests in a worker of the page. */
const WORKER = `
  const worker = new Worker("main.js" + location.search, { type: "module" });
  worker.onmessage = ({ data }) => console.log(data);
  worker.onerror = ({ message }) => console.log("the worker failed: " + message);
`;

/** A page tells its server what it prints. */
const TELLING = `
  let told = Promise.resolve();
  console.log = (line) => (told = told.then(() => fetch("told", { method: "POST", body: line })));
  addEventListener("error", ({ message }) => console.log("the page failed: " + message));
`;
const IMPORT = 'import("./main.js").catch((error) => console.log("the page failed: " + error));';

const PAGES: Readonly<Record<string, string>> = {
  "": ' src="main.js">',
  worker: `>${WORKER}`,
  telling: `>${TELLING}${IMPORT}`,
  tellingworker: `>${TELLING}${WORKER}`,
};

/** Serves the bundle's folder to this machine, isolated as a page must be for shared memory. `line` hears what a page tells. */
async function serve(folder: string, line: Listener["line"]): Promise<{ url: string; close(): void }> {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost").pathname;
    if (request.method === "POST") {
      line(Buffer.concat(await request.toArray()).toString());
      response.end();
      return;
    }
    response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
    response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    const name = url.slice(1).replace(/[^\w.-]/g, "");
    if (name in PAGES) {
      response.setHeader("Content-Type", "text/html");
      response.end(`<!doctype html><meta charset="utf-8"><script type="module"${PAGES[name]}</script>`);
    } else if (existsSync(join(folder, name))) {
      response.setHeader("Content-Type", TYPES[name.split(".").at(-1) ?? ""] ?? "application/octet-stream");
      createReadStream(join(folder, name)).pipe(response);
    } else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close: () => server.close() };
}

/** All tests in a page; and those of the runtime in a worker, where a browser has threads. */
function browser(name: string, programs: readonly string[], options: LaunchOptions): Host[] {
  const found = find(name, programs);
  const host = (name: string, place: string, only?: string): Host => ({
    ...found,
    name,
    only,
    async start(executablePath, folder, { line, ended }) {
      const server = await serve(folder, line);
      let opened: Browser | undefined;
      const stop = async () => {
        await opened?.close();
        server.close();
      };
      try {
        opened = await launch({ ...options, executablePath, headless: true, protocolTimeout: 0 });
        opened.once("disconnected", () => ended("closed"));
        const page = await opened.newPage();
        page.on("console", (message) => line(message.text()));
        page.on("pageerror", (error) => line(String(error)));
        page.once("error", ({ message }) => ended(message));
        page.goto(`${server.url}${place}`, { timeout: 0 }).catch(({ message }) => ended(message));
      } catch (error) {
        await stop();
        throw error;
      }
      return { stop };
    },
  });
  // A worker of Firefox that makes threads may hang while WebDriver listens for workers (src/web/threads.ts).
  const worker =
    options.browser === "firefox"
      ? undriven({ ...found, name: `${name} worker` }, "tellingworker", (path, url, profile) => [
          ...[path, "--headless", "--no-remote", "--profile", profile, url],
        ])
      : host(`${name} worker`, `worker?only=${RUNTIMES}`, RUNTIMES);
  return [host(name, ""), worker];
}

/** A browser that nobody drives, by its command line; `place` is a page that tells. */
function undriven(
  found: ReturnType<typeof find>,
  place: string,
  command: (path: string, url: string, profile: string) => readonly string[],
): Host {
  return {
    ...found,
    only: RUNTIMES,
    async start(path, folder, { line, ended }) {
      const server = await serve(folder, line);
      const profile = await mkdtemp(join(tmpdir(), "limbeck-profile-"));
      const [program, ...args] = command(path, `${server.url}${place}?only=${RUNTIMES}`, profile);
      const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"], detached: true });
      createInterface(child.stderr).on("line", line);
      const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
      child.once("error", ({ message }) => ended(message));
      child.once("close", (code, signal) => ended(`ended with ${signal ?? code}`));
      return {
        async stop() {
          server.close();
          if (child.pid === undefined) return;
          // With the display and the processes of the page.
          if (child.exitCode === null) process.kill(-child.pid, "SIGKILL");
          await closed;
          await rm(profile, { recursive: true, force: true, maxRetries: 10 });
        },
      };
    },
  };
}

/** WebKitGTK's own small browser. It has neither WebGPU nor shared memory. */
const webkit = undriven(
  find(
    "WebKit",
    ["x86_64", "aarch64"].map((cpu) => `../lib/${cpu}-linux-gnu/webkit2gtk-4.1/MiniBrowser`),
    false,
  ),
  "telling",
  (path, url) => ["xvfb-run", "-a", path, url],
);

const edge: Host = {
  // The package's own bin may be a script that starts the program, and would leave it running.
  ...find("workerd", ["../@cloudflare/workerd-linux-64/bin/workerd", "workerd"], false),
  only: RUNTIMES,
  async start(path, folder, { line, ended }) {
    const names = (await readdir(folder)).filter((name) => /\.(js|wasm)$/.test(name) && name !== "worker.js");
    const config = await workerConfig(
      folder,
      ["worker.js", ...names].map((name) => [name, name]),
    );
    const worker = await serveWorker(path, config, { line, ended });
    fetch(`${worker.url}?only=${RUNTIMES}`).then(
      async (response) => response.ok || ended(`answered ${response.status}`),
      ({ message }) => ended(message),
    );
    return worker;
  },
};

export const browsers: readonly {
  readonly name: string;
  readonly programs: string[];
  readonly options: LaunchOptions;
}[] = [
  {
    name: "Chromium",
    programs: ["chromium", "chromium-browser", "google-chrome"],
    // SwiftShader comes with Chromium and needs no GPU. A container has no user namespaces for the sandbox; the page is our own.
    options: {
      args: [
        "--no-sandbox",
        "--enable-unsafe-webgpu",
        "--use-webgpu-adapter=swiftshader",
        "--enable-features=Vulkan",
        "--disable-dev-shm-usage",
      ],
    },
  },
  {
    name: "Firefox",
    programs: ["firefox-esr", "firefox"],
    // On Linux WebGPU is behind a preference, and software drivers are on its list of refused ones.
    options: {
      browser: "firefox",
      extraPrefsFirefox: { "dom.webgpu.enabled": true, "gfx.webgpu.ignore-blocklist": true },
    },
  },
];

export const hosts: readonly Host[] = [
  ...nodes,
  bun,
  deno,
  ...browsers.flatMap(({ name, programs, options }) => browser(name, programs, options)),
  webkit,
  edge,
];
