// f32 matrix products [M,K]·[K,N], limbeck's strict kernels beside tfjs-wasm (XNNPACK), all in one run and taking turns.
//   npm run bench -- products [--rounds 20] [--shapes 1024x768x768,…]
// limbeck runs a Program of one instruction on its WasmExecutor, so packing both operands counts; tfjs-wasm packs the second one once
// and keeps it. tfjs-wasm has one thread in Node, whatever it is asked for.

import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-wasm";
import { WasmExecutor } from "../src/executors/wasm.ts";
import { matmul } from "../src/ops/index.ts";
import { Trace } from "../src/program/program.ts";
import { node } from "../src/runtimes/node.ts";
import { arithmeticLimit, best, machine, median, noise, table } from "./common.ts";

/** M·N·K: BERT-base's and the 4×312 student's layers, and MiniLM's on an SST-2 batch. */
const SHAPES = "1024x768x768,1024x3072x768,1024x768x3072,1024x1200x312,1024x312x1200,512x512x128,448x384x384";
const LEAST_MS = 20;

const { values: options } = parseArgs({
  options: { rounds: { type: "string", default: "20" }, shapes: { type: "string", default: SHAPES } },
});
const rounds = Number(options.rounds);

interface Contender {
  readonly name: string;
  /** One product; its result stays inside. */
  run(): void;
  result(): Promise<ArrayLike<number>>;
  close(): void;
}

async function limbeck(threads: number, [M, N, K]: number[], a: Float32Array, b: Float32Array): Promise<Contender> {
  const executor = await WasmExecutor.create(node, { threads });
  const trace = new Trace();
  const [x, y] = [trace.input("a", [M, K]), trace.input("b", [K, N])];
  const out = trace.input("c", [M, N]);
  trace.retarget(matmul({ a: x, b: y }, { transposeA: false, transposeB: false }), out, false);
  const loaded = executor.load(trace.finish("product"));
  executor.write(x, a);
  executor.write(y, b);
  return {
    name: `limbeck strict, ${executor.threads} thread${executor.threads > 1 ? "s" : ""}`,
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

console.log(`f32 products, GFLOP/s, best (median) of ${rounds} rounds; ${machine()}\n`);
const limit = await arithmeticLimit();
const limits: number[] = [];
const rows: string[][] = [];
let names: string[] = [];
for (const text of options.shapes.split(",")) {
  const shape = text.split("x").map(Number);
  const [M, N, K] = shape;
  if (shape.length !== 3 || shape.some((n) => !(n > 0))) throw new Error(`"${text}" is no shape; write MxNxK`);
  const [a, b] = [noise(M * K, 1, 1), noise(K * N, 1, 2)];
  const contenders = [await limbeck(1, shape, a, b), await tfjs(shape, a, b), await limbeck(2, shape, a, b)];
  for (const contender of contenders) contender.run();
  const [ours, theirs, both] = await Promise.all(contenders.map((contender) => contender.result()));
  compare(ours, theirs);
  compare(both, theirs);
  const count = Math.max(1, Math.ceil(LEAST_MS / time(contenders[0], 2)));
  const times = contenders.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, contender] of contenders.entries()) times[i].push(time(contender, count));
    limits.push(limit());
  }
  for (const contender of contenders) contender.close();
  const speed = (ms: number) => (2 * M * N * K) / ms / 1e6;
  names = contenders.map(({ name }) => name);
  const ratio = (of: (times: readonly number[]) => number) => (of(times[1]) / of(times[0])).toFixed(2);
  rows.push([
    `${M}·${N}·${K}`,
    ...times.map((t) => `${speed(best(t)).toFixed(1)} (${speed(median(t)).toFixed(1)})`),
    `${ratio(best)} (${ratio(median)})`,
    speed(best(times[0])).toFixed(1),
  ]);
}
const most = Math.max(...limits);
for (const row of rows) row.push(`${Math.round((100 * Number(row.pop())) / most)} %`);
console.log(table(["M·N·K", ...names, "limbeck ÷ tfjs, 1 thread", "of the limit, 1 thread"], rows));
console.log(
  `\nLimit: ${most.toFixed(1)} GFLOP/s, one thread that multiplies and adds 128-bit registers without fused multiply-add.`,
);
