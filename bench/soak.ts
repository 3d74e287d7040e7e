// Ten thousand steps: what a run holds must not grow after its warm-up. Fails when it does.
//   npm run bench -- soak [wasm|gpu] [--steps 10000]
// wasm  A distillation as a user starts it, into a folder, with checkpoints, evaluations and two threads: resident memory, heap after a
//       collection, WASM memory, open file descriptors, and what keeps Node's event loop alive.
//       All threads allocate from one heap of the C library (MALLOC_ARENA_MAX=1, unless that is given): glibc has one for each thread in which
//       V8 optimises code, and keeps there what was freed, 2 to 10 MiB more until step 8,000 (bench/results/reliability-2026-11-28.md).
// gpu   The training loop on a device that counts and computes nothing: buffers, their bytes, pipelines; heap.

import { spawnSync } from "node:child_process";
import { readdir } from "node:fs/promises";
import { parseArgs } from "node:util";
import type { Encoded } from "../src/data/batch.ts";
import { WebgpuExecutor } from "../src/executors/webgpu.ts";
import { distill, finetune } from "../src/index.ts";
import { adamw } from "../src/optim/adamw.ts";
import { Random } from "../src/random.ts";
import { recipes } from "../src/recipes/index.ts";
import { TRAINING } from "../src/train/options.ts";
import { LastingDevice, LastingTrainer } from "../src/train/recovery.ts";
import { trainingLoop } from "../src/train/run.ts";
import { makeTiny } from "../test/cli/tiny.ts";
import { countingDevice } from "../test/executors/counting.ts";
import { tinyConfig } from "../test/train/tiny.ts";
import { machine, table } from "./common.ts";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { steps: { type: "string", default: "10000" } },
});
const steps = Number(options.steps);
const REPORTS = 20;
/** Of the reports: shapes of batches are new for a while, and each has programs of its own. */
const WARM = 4;

/** How much more than at the end of the warm-up is nothing: collectors and allocators breathe. */
const SLACK: Readonly<Record<string, number>> = { resident: 0.05, heap: 0.03 };

type Held = Readonly<Record<string, number>>;

function heap(): number {
  if (!globalThis.gc) throw new Error("start it by `npm run bench -- soak`: Node needs --expose-gc");
  globalThis.gc();
  globalThis.gc();
  return process.memoryUsage().heapUsed;
}

async function ofProcess(): Promise<Held> {
  const found = { heap: heap(), resident: process.memoryUsage.rss() };
  // The lock's heart beats by writing a file: the fewest of some looks are what stays open.
  let descriptors = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 5; look++) {
    descriptors = Math.min(descriptors, (await readdir("/proc/self/fd").catch(() => [])).length);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  // Timers and requests come and go with every report; what is open does not.
  const handles = process.getActiveResourcesInfo().filter((name) => !/Timeout|Immediate|Req/.test(name));
  return { ...found, descriptors, handles: handles.length };
}

const failures: string[] = [];
const shown = (name: string, value: number) =>
  /heap|resident|memory|bytes/.test(name) ? `${(value / 2 ** 20).toFixed(2)} MiB` : String(value);

function report(title: string, seen: readonly [step: number, held: Held][]): void {
  const names = Object.keys(seen[0][1]);
  const warm = seen[WARM - 1][1];
  for (const name of names) {
    // The highest behind the warm-up, not only the last: a leak that a restart hides would show.
    const most = Math.max(...seen.slice(WARM).map(([, held]) => held[name]));
    const bound = warm[name] * (1 + (SLACK[name] ?? 0));
    if (!(most <= bound)) failures.push(`${title}: ${name} was ${shown(name, warm[name])}, then ${shown(name, most)}`);
  }
  const rows = seen
    .filter((_, i) => i === 0 || (i + 1) % WARM === 0)
    .map(([step, held]) => [String(step), ...names.map((name) => shown(name, held[name]))]);
  console.log(`${title}\n\n${table(["step", ...names], rows)}\n`);
}

async function wasm(): Promise<void> {
  const tiny = await makeTiny();
  try {
    const data = { train: `${tiny.folder}/train.tsv`, device: "wasm" as const, threads: 2 };
    const { model: teacher } = await finetune({ ...data, model: `${tiny.folder}/base`, maxSteps: 5 }).result;
    const run = distill({
      ...{ ...data, teacher, student: "bert:1x16x2", recipe: "kd", out: `${tiny.folder}/student` },
      ...{ eval: `${tiny.folder}/dev.tsv`, evalSteps: steps / REPORTS, saveSteps: steps / REPORTS / 2 },
      ...{ epochs: 0, maxSteps: steps, batchSize: 4, loggingSteps: steps / REPORTS },
    });
    const seen: [number, Held][] = [];
    for await (const event of run)
      if (event.type === "step") seen.push([event.step, { "WASM memory": event.memoryBytes, ...(await ofProcess()) }]);
    report(`${steps} steps under WASM, two threads, a checkpoint every ${steps / REPORTS / 2}`, seen);
  } finally {
    await tiny.remove();
  }
}

async function gpu(): Promise<void> {
  const random = new Random(1, "soak");
  const rows = Array.from({ length: 320 }, (_, i): Encoded => {
    const ids = Array.from({ length: 1 + random.below(30) }, () => random.below(50));
    return { ids, segments: ids.map(() => 0), label: i % 2 };
  });
  const { device, counts } = countingDevice();
  const executor = new WebgpuExecutor(device, { adapter: "a device that counts" });
  const none = () => Promise.reject(new Error("nothing is lost here"));
  const lasting = new LastingDevice({ executor, threads: 1, choice: "a device that counts" }, none, 100);
  const student = { owner: "student", config: tinyConfig(1) };
  const teachers = [{ owner: "teacher0", config: tinyConfig(2) }];
  const structure = { student, teachers, stage: recipes.kd.stages.task, regression: false, optimizer: adamw };
  const loop = trainingLoop({
    ...{ trainer: new LastingTrainer(lasting, structure, { seed: 1 }), parameters: 0 },
    ...{ hyper: { temperature: 2, alpha: 0.5, beta: 0 }, train: { rows, truncated: 0, regression: false } },
    options: { ...TRAINING, epochs: 0, maxSteps: steps, batchSize: 8, loggingSteps: steps / REPORTS },
  });
  const seen: [number, Held][] = [];
  for await (const event of loop)
    if (event.type === "step") {
      const { buffers, bytes, pipelines } = counts;
      seen.push([event.step, { buffers, bytes, pipelines, heap: heap() }]);
    }
  executor.dispose();
  if (counts.buffers !== 0) failures.push(`${counts.buffers} buffers were left behind the end`);
  report(`${steps} steps on a device that counts, a snapshot every 100`, seen);
}

// The C library reads it when a process begins.
if (process.env.MALLOC_ARENA_MAX === undefined) {
  const env = { ...process.env, MALLOC_ARENA_MAX: "1" };
  const again = spawnSync(process.execPath, [...process.execArgv, ...process.argv.slice(1)], { env, stdio: "inherit" });
  process.exit(again.status ?? 1);
}
const parts = positionals.length > 0 ? positionals : ["wasm", "gpu"];
console.log(`Soak; ${machine()}\n`);
for (const part of parts) {
  if (part === "wasm") await wasm();
  else if (part === "gpu") await gpu();
  else throw new Error(`there is no part "${part}"; there are wasm and gpu`);
}
for (const failure of failures) console.error(`FAILED: ${failure}`);
if (failures.length > 0) process.exitCode = 1;
