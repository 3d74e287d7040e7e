// One training step of an encoder classifier, 4 layers, width 312, 12 heads, FFN 1200, 16 sequences of 64 tokens (no padding anywhere):
// limbeck with two threads beside jax-js under Deno with two threads, in one run and taking turns.
//   npm run bench -- step [--rounds 10] [--threads 2] [--no-peer]
// jax-js runs forward + gradients from rows that are embedded already; limbeck's forward + backward also looks up a vocabulary of 30,522
// and computes its gradient, and its whole step adds AdamW on all parameters. Dropout only where the row says so.

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Batch, makeBatch } from "../src/data/batch.ts";
import type { Loaded } from "../src/executors/executor.ts";
import { WasmExecutor } from "../src/executors/wasm.ts";
import { adamw } from "../src/optim/adamw.ts";
import type { Program } from "../src/program/program.ts";
import { hard } from "../src/recipes/hard.ts";
import { node } from "../src/runtimes/node.ts";
import { DROPOUT, type StepStructure, stepPrograms, weightOf } from "../src/train/programs.ts";
import { placeWeights, shapeOf, Trainer, writeBatch } from "../src/train/trainer.ts";
import { arithmeticLimit, bertConfig, best, machine, median, randomWeights, table } from "./common.ts";

const SIZES = { layers: 4, width: 312, heads: 12, inner: 1200 };
const SEQUENCES = 16;
const LENGTH = 64;
const TOKENS = SEQUENCES * LENGTH;

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "10" },
    threads: { type: "string", default: "2" },
    "no-peer": { type: "boolean", default: false },
  },
});
const rounds = Number(options.rounds);
const threads = Number(options.threads);

interface Contender {
  readonly name: string;
  /** Milliseconds of one step. */
  step(): Promise<number>;
  close(): void;
}

function fullBatch(vocabulary: number): Batch {
  const encoded = Array.from({ length: SEQUENCES }, (_, s) => ({
    ids: Array.from({ length: LENGTH }, (_, i) => (7919 * (s * LENGTH + i) + 13) % vocabulary),
    segments: new Array<number>(LENGTH).fill(0),
    label: s % 2,
  }));
  return makeBatch(encoded, { size: SEQUENCES });
}

async function limbeck(what: "gradients" | "step", dropout: number): Promise<Contender> {
  const config = bertConfig({ ...SIZES, dropout });
  const executor = await WasmExecutor.create(node, { threads });
  placeWeights(executor, "student", randomWeights(config));
  const batch = fullBatch(config.vocab_size);
  const structure = structureOf(dropout);
  let step: () => Promise<unknown>;
  if (what === "step") {
    const trainer = new Trainer(executor, structure, { seed: 1 });
    step = () => trainer.step([batch], 5e-5, { temperature: 1, alpha: 0, beta: 0 });
  } else {
    const loaded: Loaded = executor.load(stepPrograms(structure, shapeOf(batch)).gradient);
    executor.write(weightOf("hard"), Float64Array.of(1));
    executor.write(DROPOUT, Uint32Array.of(1, 1));
    step = async () => {
      writeBatch(executor, batch, [loaded]);
      executor.run(loaded);
    };
  }
  const title = what === "step" ? `whole step with AdamW, dropout ${dropout}` : "forward + backward";
  return {
    name: `limbeck strict, ${executor.threads} threads: ${title}`,
    async step() {
      const start = performance.now();
      await step();
      return performance.now() - start;
    },
    close: () => executor.dispose(),
  };
}

function structureOf(dropout: number): StepStructure {
  const student = { owner: "student", config: bertConfig({ ...SIZES, dropout }) };
  return { student, teachers: [], stage: hard.stages.task, regression: false, optimizer: adamw };
}

async function jax(): Promise<Contender> {
  const folder = fileURLToPath(new URL("../../bench", import.meta.url));
  const deno = `${folder}/node_modules/.bin/deno`;
  if (!existsSync(deno)) throw new Error("not installed: run `npm install` in bench/");
  const task = JSON.stringify({ ...SIZES, sequences: SEQUENCES, length: LENGTH, threads });
  const child: ChildProcess = spawn(deno, ["run", "-A", "jaxStep.mjs", task], {
    cwd: folder,
    stdio: ["pipe", "pipe", "pipe"],
  });
  let complaint = "";
  child.stderr?.on("data", (data) => {
    complaint += data;
  });
  const lines = createInterface(child.stdout!)[Symbol.asyncIterator]();
  return {
    name: `jax-js, Deno, ${threads} threads: forward + backward, frozen embedding`,
    async step() {
      child.stdin!.write("1\n");
      const { value, done } = await lines.next();
      if (done) throw new Error(complaint.trim().split("\n").slice(0, 3).join(" ") || "Deno ended");
      return JSON.parse(value).milliseconds[0];
    },
    close: () => void child.stdin!.end(),
  };
}

/** Multiplications and additions of the products and of attention; the rest is small beside them. */
function flops({ instructions }: Program): number {
  return instructions.reduce((sum, { op, dims, attributes, inputs }) => {
    if (op.name === "matmul") {
      const [M, N, K] = op.parameters(dims, attributes, inputs);
      return sum + 2 * M * N * K;
    }
    if (!/^attention(Pairs|Mix|MixT)$/.test(op.name)) return sum;
    return sum + 2 * TOKENS * LENGTH * SIZES.width;
  }, 0);
}

console.log(
  `One training step, ${SIZES.layers} layers, width ${SIZES.width}, ${SEQUENCES} × ${LENGTH} tokens; ${machine()}\n`,
);
const limit = await arithmeticLimit();
const contenders = [await limbeck("gradients", 0), await limbeck("step", 0), await limbeck("step", 0.1)];
const failures: string[] = [];
if (!options["no-peer"]) {
  try {
    const peer = await jax();
    await peer.step();
    contenders.push(peer);
  } catch (error) {
    failures.push(`jax-js did not run: ${(error as Error).message}`);
  }
}
for (const contender of contenders) await contender.step();
const times = contenders.map((): number[] => []);
const limits: number[] = [];
for (let round = 0; round < rounds; round++) {
  for (const [i, contender] of contenders.entries()) times[i].push(await contender.step());
  limits.push(limit());
}
for (const contender of contenders) contender.close();

const perStep = flops(stepPrograms(structureOf(0), shapeOf(fullBatch(30522))).gradient);
const most = threads * Math.max(...limits);
const speed = (ms: number) => Math.round((1000 * TOKENS) / ms).toLocaleString("en");
const share = (ms: number) => `${Math.round((100 * perStep) / ms / 1e6 / most)} %`;
console.log(
  table(
    ["", "tokens/s, best", "median", "of the limit, best"],
    contenders.map(({ name }, i) => [name, speed(best(times[i])), speed(median(times[i])), share(best(times[i]))]),
  ),
);
for (const failure of failures) console.log(`\n${failure}`);
console.log(
  `\n${rounds} rounds. ${(perStep / TOKENS / 1e6).toFixed(1)} MFLOP a token; limit: ${most.toFixed(0)} GFLOP/s on ${threads} threads, ` +
    "128-bit multiplications and additions in registers, not fused.",
);
