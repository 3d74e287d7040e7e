// What the benchmarks share: numbers to work on, best and median, tables, and the arithmetic limit of this machine at this moment.

import { availableParallelism, cpus, loadavg } from "node:os";
import { main } from "assemblyscript/asc";
import { labelMaps } from "../src/formats/config.ts";
import type { BertConfig } from "../src/models/bert.ts";
import type { Weights } from "../src/train/model.ts";
import { parametersOf } from "../src/train/programs.ts";

/** Repeatable numbers between −scale and scale, much faster than the project's own Random; for values that do not matter. */
export function noise(length: number, scale: number, seed = 1): Float32Array {
  const out = new Float32Array(length);
  let state = seed >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    out[i] = (state / 2 ** 31 - 1) * scale;
  }
  return out;
}

/** A BERT of these sizes for two classes, as bert-base-uncased has the rest. */
export function bertConfig(sizes: {
  layers: number;
  width: number;
  heads: number;
  inner: number;
  vocabulary?: number;
  dropout?: number;
}): BertConfig {
  const dropout = sizes.dropout ?? 0.1;
  return {
    model_type: "bert",
    vocab_size: sizes.vocabulary ?? 30522,
    hidden_size: sizes.width,
    num_hidden_layers: sizes.layers,
    num_attention_heads: sizes.heads,
    intermediate_size: sizes.inner,
    hidden_act: "gelu",
    hidden_dropout_prob: dropout,
    attention_probs_dropout_prob: dropout,
    classifier_dropout: null,
    max_position_embeddings: 512,
    type_vocab_size: 2,
    initializer_range: 0.02,
    layer_norm_eps: 1e-12,
    pad_token_id: 0,
    position_embedding_type: "absolute",
    problem_type: "single_label_classification",
    ...labelMaps(["0", "1"]),
  };
}

/** Weights of about the spread that training starts from. */
export function randomWeights(config: BertConfig): Weights {
  const weights: Weights = new Map();
  for (const [path, shape] of parametersOf(config)) {
    const length = shape.reduce((a, b) => a * b, 1);
    const isBias = path.endsWith(".bias");
    const data = path.endsWith("LayerNorm.weight")
      ? new Float32Array(length).fill(1)
      : noise(isBias ? 0 : length, 0.035);
    weights.set(path, { shape: [...shape], data: isBias ? new Float32Array(length) : data });
  }
  return weights;
}

export const best = (times: readonly number[]) => Math.min(...times);

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

/** One line about where figures come from: they compare only with others of the same run. */
export function machine(): string {
  const load = loadavg()[0].toFixed(1);
  return `${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, Node ${process.versions.node}, load ${load} at the start`;
}

const LIMIT_SOURCE = `
export function run(turns: i32): f32 {
  ${Array.from({ length: 12 }, (_, i) => `let s${i} = f32x4.splat(${i}.0);`).join(" ")}
  let x = f32x4.splat(0.999), y = f32x4.splat(0.001);
  for (let i = 0; i < turns; i++) {
    ${Array.from({ length: 12 }, (_, i) => `s${i} = f32x4.add(f32x4.mul(s${i}, x), y);`).join(" ")}
  }
  ${Array.from({ length: 11 }, (_, i) => `s0 = f32x4.add(s0, s${i + 1});`).join(" ")}
  return f32x4.extract_lane(s0, 0);
}`;

/**
 * GFLOP/s of one thread that only multiplies and adds in registers (128-bit, strict: no fused multiply-add): what no kernel can pass.
 * The function measures for about 20 ms.
 */
export async function arithmeticLimit(): Promise<() => number> {
  let binary: Uint8Array | undefined;
  const { error, stderr } = await main(
    ["limit.ts", "-O3", "--runtime", "stub", "--enable", "simd", "-o", "limit.wasm"],
    {
      readFile: (name) => (name === "limit.ts" ? LIMIT_SOURCE : null),
      writeFile: (_, contents) => {
        if (contents instanceof Uint8Array) binary = contents;
      },
      listFiles: () => [],
    },
  );
  if (error || !binary) throw new Error(`the limit kernel did not compile: ${stderr.toString()}`);
  const { instance } = await WebAssembly.instantiate(new Uint8Array(binary), {});
  const run = instance.exports.run as (turns: number) => number;
  const turns = 500_000;
  run(turns);
  return () => {
    const start = performance.now();
    run(turns);
    return (turns * 12 * 4 * 2) / (performance.now() - start) / 1e6;
  };
}
