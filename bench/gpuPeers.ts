// limbeck on WebGPU beside tfjs, jax-js and onnxruntime-web, in Chromium and under Deno: products of matrices, the forward pass of an encoder
// classifier, its gradients. All start from the same weights and rows, their answers are compared, and they take turns.
//   npm run bench -- gpuPeers [--rounds 5] [--size small|student] [--hosts chromium,deno] [--peers tfjs,…] [--chromium PATH]
// On an adapter that is software the figures are relative only, and the output says so.

import { type ChildProcess, spawn } from "node:child_process";
import { createReadStream, existsSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { best, machine, median, table } from "./common.ts";
import type { Calls } from "./peers/host.ts";
import type { TaskSizes, Unit } from "./peers/task.ts";

const SIZES: Readonly<Record<string, TaskSizes>> = {
  // A software adapter makes some 0.2 GFLOP/s.
  tiny: { layers: 1, width: 64, heads: 2, inner: 128, sequences: 2, length: 16, square: 64, products: 2 },
  small: { layers: 2, width: 128, heads: 2, inner: 512, sequences: 8, length: 32, square: 256, products: 4 },
  student: { layers: 4, width: 312, heads: 12, inner: 1200, sequences: 16, length: 64, square: 2048, products: 8 },
};
const UNITS: Readonly<Record<Unit, string>> = {
  products: "products of matrices",
  forward: "forward",
  gradients: "forward + gradients",
  step: "whole step with AdamW",
};

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    size: { type: "string", default: "small" },
    hosts: { type: "string", default: "chromium,deno" },
    peers: { type: "string", default: "tfjs,jax-js,onnxruntime-web" },
    chromium: { type: "string", default: "/usr/bin/chromium" },
  },
});
const PEERS = ["limbeck", ...options.peers.split(",")];
const rounds = Number(options.rounds);
const sizes = SIZES[options.size];
if (!sizes || !(rounds > 0)) throw new Error(`--size is one of ${Object.keys(SIZES).join(", ")}, --rounds at least 1`);

const bench = fileURLToPath(new URL("../../bench", import.meta.url));
const bundle = fileURLToPath(new URL("gpuHost.js", import.meta.url));
const onnxruntime = `${bench}/node_modules/onnxruntime-web/dist/`;
if (!existsSync(onnxruntime)) throw new Error("the peers are not installed: run `npm install` in bench/");

await build({
  entryPoints: [`${bench}/peers/entry.mjs`],
  outfile: bundle,
  ...{ bundle: true, format: "esm", platform: "browser", target: "es2022", logLevel: "error" },
});

/** A host with its contenders. */
interface Host {
  readonly name: string;
  /** Where the files of onnxruntime-web lie, as this host calls it. */
  readonly place: string;
  call<Name extends keyof Calls>(
    name: Name,
    ...args: Parameters<Calls[Name]>
  ): Promise<Awaited<ReturnType<Calls[Name]>>>;
  close(): Promise<void>;
}

const TYPES: Readonly<Record<string, string>> = {
  js: "text/javascript",
  mjs: "text/javascript",
  wasm: "application/wasm",
};

/** The page, the bundle and onnxruntime's files, with the headers that threads need. */
async function serve(): Promise<Server> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    const isolated = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
    const file =
      path === "/gpuHost.js" ? bundle : /^\/ort\/[\w.-]+$/.test(path) ? onnxruntime + path.slice(5) : undefined;
    if (path === "/") {
      response.writeHead(200, { ...isolated, "content-type": "text/html" });
      response.end('<!doctype html><script type="module" src="/gpuHost.js"></script>');
    } else if (file && existsSync(file)) {
      response.writeHead(200, { ...isolated, "content-type": TYPES[file.split(".").pop() ?? ""] ?? "text/plain" });
      createReadStream(file).pipe(response);
    } else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** Chromium with the GPU that it finds, or with its software adapter. */
async function chromium(software: boolean): Promise<Host> {
  const module = `${bench}/node_modules/puppeteer-core/lib/esm/puppeteer/puppeteer-core.js`;
  const { default: puppeteer } = await import(module);
  const args = ["--enable-unsafe-webgpu", "--enable-features=Vulkan", "--disable-gpu-watchdog"];
  if (software) args.push("--use-webgpu-adapter=swiftshader");
  if (process.getuid?.() === 0) args.push("--no-sandbox");
  const browser = await puppeteer.launch({
    executablePath: options.chromium,
    headless: true,
    args,
    protocolTimeout: 0,
  });
  const server = await serve();
  const page = await browser.newPage();
  page.on("pageerror", (error: Error) => console.error(`in the page: ${error.message}`));
  page.on("console", (message: { type(): string; text(): string }) => {
    if (message.type() === "error" || message.type() === "warn") console.error(`in the page: ${message.text()}`);
  });
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  await page.waitForFunction("globalThis.bench !== undefined");
  return {
    name: await browser.version(),
    place: "/ort/",
    call: (name, ...args) => page.evaluate(`bench[${JSON.stringify(name)}](...${JSON.stringify(args)})`),
    async close() {
      await browser.close();
      server.close();
    },
  };
}

async function deno(): Promise<Host> {
  const program = `${bench}/node_modules/.bin/deno`;
  const child: ChildProcess = spawn(program, ["run", "-A", bundle], { stdio: ["pipe", "pipe", "pipe"] });
  let complaint = "";
  child.stderr?.on("data", (data) => {
    complaint = `${complaint}${data}`.slice(-2000);
  });
  const lines = createInterface(child.stdout!)[Symbol.asyncIterator]();
  return {
    name: "Deno",
    place: `file://${onnxruntime}`,
    async call(name, ...args) {
      child.stdin!.write(`${JSON.stringify([name, ...args])}\n`);
      for (;;) {
        const { value, done } = await lines.next();
        if (done) throw new Error(complaint.trim().split("\n").slice(-3).join(" ") || "Deno ended");
        if (!value.startsWith("@@")) continue;
        const { result, error } = JSON.parse(value.slice(2));
        if (error) throw new Error(error);
        return result;
      }
    },
    close: async () => void child.stdin!.end(),
  };
}

/** Peers sum in other orders, and each has its own exp and erf. */
function apart(a: readonly number[], b: readonly number[]): number {
  const most = Math.max(...b.map(Math.abs));
  return Math.max(
    ...a.map((x, i) => (Number.isFinite(x - b[i]) ? Math.abs(x - b[i]) / most : Number.POSITIVE_INFINITY)),
  );
}

async function measure(host: Host, adapter: string): Promise<void> {
  const notes: string[] = [];
  const able: [name: string, unit: Unit][] = [];
  /** A software adapter takes minutes. */
  const tell = (text: string) => console.error(`${host.name}: ${text}`);
  for (const name of PEERS) {
    tell(`${name} starts`);
    try {
      for (const unit of await host.call("open", name, host.place)) able.push([name, unit]);
    } catch (error) {
      notes.push(`${name} did not start: ${(error as Error).message.split("\n")[0]}`);
    }
  }
  // The first turn compiles, and tells who computes the same.
  const times = new Map<string, number[]>();
  const ours = new Map<Unit, number[]>();
  const key = (name: string, unit: Unit) => `${name}/${unit}`;
  for (const [name, unit] of able) {
    tell(`${name}, ${UNITS[unit]}, for the first time`);
    try {
      const { answer } = await host.call("run", name, unit);
      if (name === PEERS[0]) ours.set(unit, answer);
      const off = apart(answer, ours.get(unit) ?? answer);
      if (off > 1e-3)
        notes.push(`${name}, ${UNITS[unit]}: its answer differs from limbeck's by ${off.toPrecision(2)}; not timed`);
      else times.set(key(name, unit), []);
    } catch (error) {
      notes.push(`${name}, ${UNITS[unit]}: ${(error as Error).message.split("\n")[0]}`);
    }
  }
  for (let round = 0; round < rounds; round++) {
    tell(`round ${round + 1}`);
    for (const [name, unit] of able) {
      const list = times.get(key(name, unit));
      if (!list) continue;
      try {
        list.push((await host.call("run", name, unit)).milliseconds);
      } catch (error) {
        notes.push(`${name}, ${UNITS[unit]}, round ${round + 1}: ${(error as Error).message.split("\n")[0]}`);
      }
    }
  }
  const tokens = sizes.sequences * sizes.length;
  const flops = 2 * sizes.square ** 3 * sizes.products;
  const rows = (Object.keys(UNITS) as Unit[]).flatMap((unit) =>
    PEERS.filter((name) => times.get(key(name, unit))?.length).map((name) => {
      const list = times.get(key(name, unit)) as number[];
      const own = times.get(key(PEERS[0], unit)) ?? [];
      const speed = (ms: number) =>
        unit === "products"
          ? `${(flops / ms / 1e6).toPrecision(3)} GFLOP/s`
          : `${Math.round((1000 * tokens) / ms).toLocaleString("en")} tokens/s`;
      return [UNITS[unit], name, speed(best(list)), speed(median(list)), (best(list) / best(own)).toFixed(2)];
    }),
  );
  console.log(`## ${host.name}: ${adapter}\n`);
  console.log(table(["", "", "best", "median", "limbeck is so many times as fast"], rows));
  for (const note of notes) console.log(`\n${note}`);
  console.log("");
}

console.log(
  `WebGPU, ${sizes.layers} layers, width ${sizes.width}, ${sizes.sequences} × ${sizes.length} tokens; ${machine()}\n`,
);
const software = /swiftshader|llvmpipe|lavapipe|software/i;
for (const wanted of options.hosts.split(",")) {
  let host = wanted === "deno" ? await deno() : await chromium(false);
  let adapter = await host.call("begin", sizes);
  if (adapter === null && wanted === "chromium") {
    await host.close();
    host = await chromium(true);
    adapter = await host.call("begin", sizes);
  }
  if (adapter === null) console.log(`${host.name} has no adapter.\n`);
  else {
    if (software.test(adapter))
      console.log(
        `${host.name}'s adapter is software: it computes on the CPU. The figures say how the libraries compare on it, nothing about GPUs.\n`,
      );
    await measure(host, adapter);
  }
  await host.close();
}
console.log(
  `${rounds} rounds, best and median; ${sizes.products} products of ${sizes.square} × ${sizes.square} in a chain. limbeck begins at token ids, looks up ` +
    "a vocabulary of 30,522 and computes its gradient; the others begin at embedded rows.",
);
