// f32 matrix products on this machine's GPU beside what it can do at most: a shader that only multiplies and adds in registers.
//   npm run bench -- gpu [--shapes 4096x4096x4096:NT,…] [--rounds 5] [--tiles] [--peak 60]
// Under Node, with the package `webgpu`. `--tiles` shows every tile of shaders/layout.ts, else the one that tuning takes. Shapes are
// MxNxK and which operands are transposed. What a renderer on the CPU would take minutes for is left out by name. `--peak`: the limit in
// TFLOP/s, where it is known better than this measures it.

import { parseArgs } from "node:util";
import { TILES } from "../shaders/layout.ts";
import { findAdapter } from "../src/executors/adapter.ts";
import { peakArithmetic } from "../src/executors/peak.ts";
import { Pipelines } from "../src/executors/pipelines.ts";
import { Bench, tune } from "../src/executors/tuning.ts";
import { node } from "../src/runtimes/node.ts";
import { machine, table } from "./common.ts";

/** Cubes, and BERT-base's and the 4×312 student's layers: forward, gradient of the input, gradient of the weight. */
const SHAPES = [
  ...[512, 1024, 2048, 4096].map((n) => `${n}x${n}x${n}:NT`),
  ...["4096x768x768:NT", "4096x3072x768:NT", "4096x768x3072:NT", "4096x768x3072:NN", "768x3072x4096:TN"],
  ...["1024x312x312:NT", "1024x1200x312:NT", "1024x312x1200:NN", "312x1200x1024:TN", "312x312x1024:TN"],
].join();

/** A product that would take longer than this is left out. */
const PATIENCE_MS = 20_000;

const { values: options } = parseArgs({
  options: {
    shapes: { type: "string", default: SHAPES },
    rounds: { type: "string", default: "5" },
    tiles: { type: "boolean", default: false },
    peak: { type: "string" },
  },
});
const rounds = Number(options.rounds);

const gpu = await node.gpu?.();
if (!gpu) throw new Error("this Node has no WebGPU");
const adapter = await findAdapter(gpu);
const device = await adapter.device();
device.addEventListener("uncapturederror", ({ error }) => {
  console.error(error.message);
  process.exit(1);
});
const pipelines = new Pipelines(device);
const timing = device.features.has("timestamp-query") ? "timestamps" : "the clock";
console.log(`f32 products on ${adapter.name} (${adapter.kind}), by ${timing}, best of ${rounds}; ${machine()}\n`);
const peak = options.peak ? 1000 * Number(options.peak) : (await peakArithmetic(device)) / 1e9;
console.log(`Limit: ${(peak / 1000).toPrecision(3)} TFLOP/s, multiplications and additions in registers.\n`);

const start = performance.now();
pipelines.tiling = adapter.kind === "software" ? [] : await tune(device, pipelines);
const name = (i: number) => {
  const { rows, columns, depth, quadsM, quadsN, shared } = TILES[i];
  return `${rows}×${columns}×${depth}, ${4 * quadsM}×${4 * quadsN}${shared ? "" : ", direct"}`;
};
const kinds = ["few", "some", "many"].map((kind, i) => `${kind} tiles ${name(pipelines.tiling[i] ?? 0)}`).join("; ");
console.log(`Tuning took ${Math.round(performance.now() - start)} ms: ${kinds}.\n`);

const rows: string[][] = [];
const skipped: string[] = [];
for (const text of options.shapes.split(",")) {
  const [size, orientation = "NT"] = text.split(":");
  const [M, N, K] = size.split("x").map(Number);
  if (![M, N, K].every((n) => n > 0) || !/^[NT]{2}$/.test(orientation))
    throw new Error(`"${text}" is no shape; write MxNxK:NT`);
  const gflop = (2 * M * N * K) / 1e9;
  // A renderer on the CPU reaches a few per cent of the limit.
  if ((gflop / peak / 0.02) * 1000 > PATIENCE_MS) {
    skipped.push(text);
    continue;
  }
  const product = { M, N, K, transposeA: orientation[0] === "T", transposeB: orientation[1] === "T" };
  const bench = new Bench(device, pipelines, product);
  for (const variant of options.tiles ? bench.variants : [bench.chosen]) {
    const ms = await bench.time(variant, rounds);
    rows.push([
      `${M}·${N}·${K} ${orientation}`,
      name(bench.variants.findIndex(({ head }) => head === variant.head)),
      ms.toPrecision(3),
      (gflop / ms).toPrecision(3),
      `${((100 * gflop) / ms / (peak / 1000)).toFixed(1)} %`,
    ]);
  }
  bench.destroy();
}
console.log(table(["M·N·K", "tile, a thread's share", "ms", "TFLOP/s", "of the limit"], rows));
if (skipped.length > 0) console.log(`\nLeft out, because they would take minutes here: ${skipped.join(", ")}.`);
device.destroy();
