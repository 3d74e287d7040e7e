// Memory of training, through the library as a user calls it. Fails when a bound is passed.
//   npm run bench -- memory [steps|base] [--steps 1000] [--base-steps 3]
// steps  A small student with dropout on texts of every length: between step 50 and the last, WASM memory must not grow, and what is on
//        the JavaScript heap after a collection must grow by less than 2 %.
// base   A teacher of BERT-base's size and a student of 6 of its layers, kd, 32 rows of 64 tokens, dropout on: WASM memory at most
//        2.9 GiB, resident memory of the process (its highest, VmHWM) at most 3.8 GiB.

import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { loadTokenizer, type Tokenizer } from "../src/data/tokenizer.ts";
import { distill, type TrainingEvent } from "../src/index.ts";
import type { Model } from "../src/train/model.ts";
import { bertConfig, machine, noise, randomWeights, table } from "./common.ts";

const GIB = 2 ** 30;
const WARM = 50;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: "string", default: "1000" },
    "base-steps": { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
  },
});
const threads = Number(options.threads);
const SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const word = (i: number) => `w${i}`;

/** Every word of the made vocabulary is one token. */
function madeTokenizer(vocabulary: number): Tokenizer {
  const words = Array.from({ length: vocabulary - SPECIAL.length }, (_, i) => word(i));
  return loadTokenizer(new Map([["vocab.txt", `${[...SPECIAL, ...words].join("\n")}\n`]]));
}

/** A file of `rows` labelled texts; `words(i)` says how long text i is. */
function madeData(rows: number, vocabulary: number, words: (row: number) => number) {
  const lines = Array.from({ length: rows }, (_, row) => {
    const chosen = noise(words(row), 1, row + 1).map((x) => Math.floor(((x + 1) / 2) * (vocabulary - SPECIAL.length)));
    return `${Array.from(chosen, word).join(" ")}\t${row % 2}`;
  });
  return { name: "made.tsv", bytes: new TextEncoder().encode(`sentence\tlabel\n${lines.join("\n")}\n`) };
}

function madeTeacher(sizes: Parameters<typeof bertConfig>[0] & { vocabulary: number }): Model {
  const config = bertConfig(sizes);
  const weights = randomWeights(config);
  return { name: "random weights", config, weights, tokenizer: madeTokenizer(sizes.vocabulary), notes: [] };
}

function heapAfterCollection(): number {
  if (!globalThis.gc) throw new Error("start it by `npm run bench -- memory`: Node needs --expose-gc");
  globalThis.gc();
  globalThis.gc();
  return process.memoryUsage().heapUsed;
}

async function highestResident(): Promise<number> {
  const status = await readFile("/proc/self/status", "utf8").catch(() => "");
  const kilobytes = /^VmHWM:\s*(\d+) kB/m.exec(status)?.[1];
  return 1024 * (kilobytes ? Number(kilobytes) : process.resourceUsage().maxRSS);
}

type Step = Extract<TrainingEvent, { type: "step" }>;
const failures: string[] = [];
const gib = (bytes: number) => `${(bytes / GIB).toFixed(3)} GiB`;
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(2)} MiB`;

async function steps(total: number): Promise<void> {
  const vocabulary = 1000;
  const run = distill({
    teacher: madeTeacher({ layers: 2, width: 64, heads: 4, inner: 256, vocabulary }),
    student: "bert:1x64x4x256",
    train: madeData(2000, vocabulary, (row) => 1 + ((row * 37) % 40)),
    ...{ maxSteps: total, epochs: 0, batchSize: 16, loggingSteps: WARM, seed: 1, device: "wasm", threads },
  });
  const rows: string[][] = [];
  let first: { wasm: number; heap: number } | undefined;
  for await (const event of run) {
    if (event.type !== "step") continue;
    const now = { wasm: event.memoryBytes, heap: heapAfterCollection() };
    first ??= now;
    rows.push([
      String(event.step),
      mib(now.wasm),
      mib(now.heap),
      `${((100 * now.heap) / first.heap - 100).toFixed(2)} %`,
    ]);
    if (event.step < total) continue;
    if (now.wasm > first.wasm) failures.push(`WASM memory grew by ${mib(now.wasm - first.wasm)} in ${total} steps`);
    if (now.heap >= 1.02 * first.heap) failures.push(`the heap grew from ${mib(first.heap)} to ${mib(now.heap)}`);
  }
  const shown = rows.filter((_, i) => i === 0 || i === rows.length - 1 || i % 4 === 3);
  console.log(`${total} steps of a small student with dropout\n`);
  console.log(`${table(["step", "WASM memory", "heap after collection", "since step 50"], shown)}\n`);
}

async function base(total: number): Promise<void> {
  const vocabulary = 30522;
  const run = distill({
    teacher: madeTeacher({ layers: 12, width: 768, heads: 12, inner: 3072, vocabulary }),
    student: "layers:6",
    train: madeData(64, vocabulary, () => 62),
    ...{ maxSteps: total, epochs: 0, batchSize: 32, maxLength: 64, loggingSteps: 1, seed: 1, device: "wasm", threads },
  });
  let last: Step | undefined;
  for await (const event of run) {
    if (event.type !== "step") continue;
    last = event;
    console.error(`step ${event.step}: loss ${event.loss.toFixed(4)}, ${event.tokensPerSecond.toFixed(0)} tokens/s`);
  }
  const wasm = last?.memoryBytes ?? Number.NaN;
  const resident = await highestResident();
  if (!(wasm <= 2.9 * GIB)) failures.push(`WASM memory is ${gib(wasm)}, more than 2.9 GiB`);
  if (!(resident <= 3.8 * GIB)) failures.push(`resident memory was ${gib(resident)}, more than 3.8 GiB`);
  console.log(`BERT-base-sized teacher, 6-layer student, kd, 32 × 64 tokens, dropout on, ${total} steps\n`);
  const row = (name: string, bytes: number, bound: number) => [name, gib(bytes), `${bound} GiB`];
  console.log(
    `${table(["", "measured", "bound"], [row("WASM memory", wasm, 2.9), row("highest resident memory", resident, 3.8)])}\n`,
  );
}

const parts = positionals.length > 0 ? positionals : ["steps", "base"];
console.log(`Memory of training; ${machine()}, ${threads} threads\n`);
for (const part of parts) {
  if (part === "steps") await steps(Number(options.steps));
  else if (part === "base") await base(Number(options["base-steps"]));
  else throw new Error(`there is no part "${part}"; there are steps and base`);
}
for (const failure of failures) console.error(`FAILED: ${failure}`);
if (failures.length > 0) process.exitCode = 1;
