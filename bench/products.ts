// f32 matrix products [M,K]·[K,N], limbeck's strict and fast kernels beside tfjs-wasm (XNNPACK), all in one run and taking turns.
//   npm run bench -- products [--rounds 20] [--shapes 1024x768x768,…] [--no-peer]
// Other engines run the bundle: ENGINE dist/bench/products.js.
// limbeck runs a Program of one instruction on its WasmExecutor, so packing both operands counts; tfjs-wasm packs the second one once
// and keeps it. tfjs-wasm has one thread in Node, whatever it is asked for.

import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-wasm";
import { type Numerics, WasmExecutor } from "../src/executors/wasm.ts";
import { wasmFeatures } from "../src/executors/wasmFeatures.ts";
import { matmul } from "../src/ops/index.ts";
import { Trace } from "../src/program/program.ts";
import { node } from "../src/runtimes/node.ts";
import { arithmeticLimit, best, machine, median, noise, table } from "./common.ts";

/** M·N·K: BERT-base's and the 4×312 student's layers, and MiniLM's on an SST-2 batch. */
const SHAPES = "1024x768x768,1024x3072x768,1024x768x3072,1024x1200x312,1024x312x1200,512x512x128,448x384x384";
const LEAST_MS = 20;

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    shapes: { type: "string", default: SHAPES },
    "no-peer": { type: "boolean", default: false },
  },
});
const rounds = Number(options.rounds);

interface Contender {
  readonly name: string;
  /** One product; its result stays inside. */
  run(): void;
  result(): Promise<ArrayLike<number>>;
  close(): void;
}

async function limbeck(
  numerics: Numerics,
  threads: number,
  [M, N, K]: number[],
  a: Float32Array,
  b: Float32Array,
): Promise<Contender> {
  const executor = await WasmExecutor.create(node, { threads, numerics });
  const trace = new Trace();
  const [x, y] = [trace.input("a", [M, K]), trace.input("b", [K, N])];
  const out = trace.input("c", [M, N]);
  trace.retarget(matmul({ a: x, b: y }, { transposeA: false, transposeB: false }), out, false);
  const loaded = executor.load(trace.finish("product"));
  executor.write(x, a);
  executor.write(y, b);
  return {
    name: `limbeck ${numerics}, ${executor.threads} thread${executor.threads > 1 ? "s" : ""}`,
    run: () => executor.run(loaded),
    result: () => executor.read(out),
    close: () => executor.dispose(),
  };
}

async function tfjs([M, N, K]: number[], a: Float32Array, b: Float32Array): Promise<Contender> {
  if (!(await tf.setBackend("wasm"))) throw new Error("tfjs has no wasm backend here");
  const [x, y] = [tf.tensor2d(a, [M, K]), tf.tensor2d(b, [K, N])];
  let product = tf.matMul(x, y);
  return {
    name: "tfjs-wasm, 1 thread",
    run: () => {
      product.dispose();
      product = tf.matMul(x, y);
    },
    result: async () => product.data() as Promise<Float32Array>,
    close: () => tf.dispose([x, y, product]),
  };
}

/** Milliseconds of one product: the mean of `count` in a row. */
function time({ run }: Contender, count: number): number {
  const start = performance.now();
  for (let i = 0; i < count; i++) run();
  return (performance.now() - start) / count;
}

/** Both sum K products in f32, in different orders. */
function compare(a: ArrayLike<number>, b: ArrayLike<number>): void {
  let [largest, difference] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    largest = Math.max(largest, Math.abs(b[i]));
    difference = Math.max(difference, Math.abs(a[i] - b[i]));
  }
  if (!(difference <= 1e-5 * largest)) throw new Error(`the products differ by ${difference} of ${largest}`);
}

const fast = wasmFeatures().relaxedSimd;
const kinds: [Numerics, number][] = [["strict", 1], ...(fast ? [["fast", 1] as [Numerics, number]] : [])];
kinds.push(...kinds.map(([numerics]): [Numerics, number] => [numerics, 2]));

console.log(`f32 products, GFLOP/s, best (median) of ${rounds} rounds; ${machine()}\n`);
const limits = { strict: await arithmeticLimit(), fast: fast ? await arithmeticLimit("fast") : undefined };
const most = { strict: 0, fast: 0 };
const rows: string[][] = [];
const shares: (() => string)[][] = [];
let names: string[] = [];
for (const text of options.shapes.split(",")) {
  const shape = text.split("x").map(Number);
  const [M, N, K] = shape;
  if (shape.length !== 3 || shape.some((n) => !(n > 0))) throw new Error(`"${text}" is no shape; write MxNxK`);
  const [a, b] = [noise(M * K, 1, 1), noise(K * N, 1, 2)];
  const ours = await Promise.all(kinds.map(([numerics, threads]) => limbeck(numerics, threads, shape, a, b)));
  const contenders = [...ours, ...(options["no-peer"] ? [] : [await tfjs(shape, a, b)])];
  for (const contender of contenders) contender.run();
  const [first, ...others] = await Promise.all(contenders.map((contender) => contender.result()));
  for (const other of others) compare(first, other);
  const count = Math.max(1, Math.ceil(LEAST_MS / time(contenders[0], 2)));
  const times = contenders.map((): number[] => []);
  // The first rounds settle which register tile runs.
  for (let round = -2; round < rounds; round++) {
    for (const [i, contender] of contenders.entries()) {
      const taken = time(contender, count);
      if (round >= 0) times[i].push(taken);
    }
    most.strict = Math.max(most.strict, limits.strict());
    most.fast = Math.max(most.fast, limits.fast?.() ?? 0);
  }
  for (const contender of contenders) contender.close();
  const speed = (ms: number) => (2 * M * N * K) / ms / 1e6;
  names = contenders.map(({ name }) => name);
  rows.push([`${M}·${N}·${K}`, ...times.map((t) => `${speed(best(t)).toFixed(1)} (${speed(median(t)).toFixed(1)})`)]);
  shares.push(
    kinds.map(([numerics, threads], i) => () => {
      const share = speed(best(times[i])) / threads / most[numerics];
      return `${Math.round(100 * share)} %`;
    }),
  );
}
for (const [i, row] of rows.entries()) row.push(shares[i].map((share) => share()).join(", "));
console.log(table(["M·N·K", ...names, "limbeck, of the limit"], rows));
console.log(
  `\nLimit of a thread that multiplies and adds 128-bit registers: ${most.strict.toFixed(1)} GFLOP/s strict` +
    `${fast ? `, ${most.fast.toFixed(1)} fast` : "; this engine has no relaxed SIMD"}.`,
);
