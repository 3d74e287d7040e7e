// What a training step costs beside its arithmetic, counted by a device that computes nothing: calls, bytes to the host, device memory. The
// training loop is the real one, on batches of many shapes.

import { beforeAll, describe, expect, test } from "vitest";
import type { Encoded } from "../../src/data/batch.ts";
import { WebgpuExecutor } from "../../src/executors/webgpu.ts";
import type { BertConfig } from "../../src/models/bert.ts";
import { adamw } from "../../src/optim/adamw.ts";
import { Random } from "../../src/random.ts";
import { recipes } from "../../src/recipes/index.ts";
import { parameterCount } from "../../src/train/model.ts";
import { TRAINING } from "../../src/train/options.ts";
import type { StepStructure } from "../../src/train/programs.ts";
import { LastingDevice, LastingTrainer } from "../../src/train/recovery.ts";
import { makeMicroBatches, microBatches, trainingLoop } from "../../src/train/run.ts";
import { shapeOf } from "../../src/train/trainer.ts";
import { type Counts, countingDevice } from "../executors/counting.ts";
import { tinyConfig } from "./tiny.ts";

const base: BertConfig = {
  ...tinyConfig(12, 768),
  ...{ vocab_size: 30522, num_attention_heads: 12, intermediate_size: 3072, max_position_embeddings: 512 },
};
const small: BertConfig = { ...base, num_hidden_layers: 4, hidden_size: 312, intermediate_size: 1200 };

const structure = (config: BertConfig, recipe: "hard" | "kd" | "pkd-skip", teacher?: BertConfig): StepStructure => ({
  student: { owner: "student", config },
  teachers: teacher ? [{ owner: "teacher0", config: teacher }] : [],
  stage: recipes[recipe].stages.task,
  ...{ regression: false, optimizer: adamw },
});

/** Sequences of 4 to 60 tokens: batches of 32 of them come in a dozen shapes. */
const random = new Random(1, "economy");
const rows = Array.from({ length: 3200 }, (_, i): Encoded => {
  const ids = Array.from({ length: 4 + random.below(57) }, () => random.below(30522));
  return { ids, segments: ids.map(() => 0), label: i % 2 };
});

/**
 * A submit lasts as long as its workgroups on a GPU of about a TFLOP/s, where a square of 32 × 32 sums of 768 terms takes 1.5 µs. Submits are
 * cut by time (executors/pace.ts), so a faster GPU needs fewer.
 */
const MILLISECONDS = 0.0015;

/** The counts before the first step and after each report; between two snapshots there are `snapshots` steps. */
async function counted(of: StepStructure, steps: number, logging: number, snapshots = steps + 1): Promise<Counts[]> {
  const { device: gpu, counts, clock } = countingDevice(MILLISECONDS);
  const now = performance.now.bind(performance);
  performance.now = () => clock.now;
  try {
    const executor = new WebgpuExecutor(gpu, { adapter: "a device that counts" });
    const device = { executor, threads: 1, choice: "a device that counts" };
    const none = () => Promise.reject(new Error("nothing is lost here"));
    const trainer = new LastingTrainer(new LastingDevice(device, none, snapshots), of, { seed: 1 });
    const seen: Counts[] = [];
    const loop = trainingLoop({
      ...{ trainer, parameters: 0, hyper: { temperature: 2, alpha: 0.5, beta: 10 } },
      train: { rows, truncated: 0, regression: false },
      options: { ...TRAINING, epochs: 0, maxSteps: steps, loggingSteps: logging },
    });
    for await (const event of loop) if (event.type === "start" || event.type === "step") seen.push({ ...counts });
    executor.dispose();
    return seen;
  } finally {
    performance.now = now;
  }
}

/** Shapes of the batches of a run: each has programs of its own. */
function shapesOf(steps: number): number {
  const options = { ...TRAINING, gradientAccumulationSteps: 1 };
  const shapes = new Set<string>();
  for (let epoch = 0, step = 0; step < steps; epoch++)
    for (const indices of microBatches(rows.length, options, epoch))
      if (step++ < steps)
        for (const batch of makeMicroBatches({ rows }, indices, TRAINING, false))
          shapes.add(JSON.stringify(shapeOf(batch)));
  return shapes.size;
}

const STEPS = 300;

describe.each([
  ["fine-tuning 4×312", structure(small, "hard"), { dispatches: 380, submits: 10 }],
  // Every weight, activation and gradient that a linear layer multiplies is rounded first.
  [
    "fine-tuning 4×312 with --fp16",
    { ...structure(small, "hard"), student: { owner: "student", config: small, half: true } },
    { dispatches: 450, submits: 10 },
  ],
  ["BERT-base → 4×312 by kd", structure(small, "kd", base), { dispatches: 575, submits: 20 }],
  [
    "BERT-base → 6 layers by pkd-skip",
    structure({ ...base, num_hidden_layers: 6 }, "pkd-skip", base),
    { dispatches: 790, submits: 36 },
  ],
])("a step of %s", (_, of, budget) => {
  let seen: Counts[] = [];
  /** What step `number` (from 1) added. */
  const step = (key: keyof Counts, number: number) => seen[number][key] - seen[number - 1][key];
  const steps = (from: number) => Array.from({ length: STEPS + 1 - from }, (_, i) => from + i);

  beforeAll(async () => {
    seen = await counted(of, STEPS, 1);
    expect(seen).toHaveLength(STEPS + 1);
  });

  test("stays within its budget of dispatches, passes and submits", () => {
    for (const number of steps(1)) expect(step("dispatches", number)).toBeLessThanOrEqual(budget.dispatches);
    // Nobody knows how long a dispatch takes before some were timed: the first runs of the first programs are cut small.
    for (const number of steps(100)) expect(step("submits", number)).toBeLessThanOrEqual(budget.submits);
    expect(seen[STEPS].submits / STEPS).toBeLessThanOrEqual(1.3 * budget.submits);
    for (const number of steps(1)) expect(step("passes", number)).toBeLessThan(step("submits", number));
    // A budget far above the count would let growth pass unseen.
    expect(step("dispatches", STEPS)).toBeGreaterThan(0.95 * budget.dispatches);
    expect(Math.max(...steps(100).map((number) => step("submits", number)))).toBeGreaterThan(0.75 * budget.submits);
  });

  test("brings a few numbers to the host and the batch to the device", () => {
    for (const number of steps(1)) {
      expect(step("bytesToHost", number)).toBeLessThanOrEqual(32);
      expect(step("maps", number)).toBeLessThanOrEqual(2);
      if (number > 1) expect(step("bytesToDevice", number)).toBeLessThanOrEqual(40_000);
    }
  });

  test("compiles nothing after the second step, and makes bind groups once a shape", () => {
    expect(seen[STEPS].pipelines).toBe(seen[2].pipelines);
    const making = steps(1).filter((number) => step("bindGroups", number) > 0);
    expect(making.length).toBeGreaterThan(1);
    expect(making.length).toBeLessThanOrEqual(shapesOf(STEPS));
    for (const number of making) expect(step("bindGroups", number)).toBeLessThanOrEqual(budget.dispatches);
  });

  test("takes no more device memory than the first, but for a staging buffer [L1]", () => {
    for (const number of steps(1)) expect(seen[number].bytes).toBe(seen[1].bytes);
    expect(seen[STEPS].mostBytes - seen[1].bytes).toBeLessThanOrEqual(2 * 16_384);
  });
});

test("between two reports nothing comes to the host, and a snapshot brings weights and moments", async () => {
  const config = { ...tinyConfig(1), vocab_size: 30522, max_position_embeddings: 64 };
  const seen = await counted(structure(config, "hard"), 60, 10, 20);
  const added = (key: "maps" | "bytesToHost") => seen.slice(1).map((counts, i) => counts[key] - seen[i][key]);
  // Loss, its one term and the gradient's norm, of every step.
  const metrics = 10 * 3 * 4;
  const state = 3 * 4 * parameterCount(config);
  expect(added("bytesToHost")).toEqual([0, 1, 0, 1, 0, 1].map((snapshot) => metrics + snapshot * state));
  // Small tensors share a buffer, the table of words has its own.
  expect(added("maps").map((maps) => maps > 1)).toEqual([false, true, false, true, false, true]);
  expect(Math.max(...added("maps"))).toBeLessThan(12);
});

test("the device that counts refuses a submit with a destroyed buffer", () => {
  const { device } = countingDevice();
  const [a, b] = [device.createBuffer({ size: 16, usage: 4 }), device.createBuffer({ size: 16, usage: 8 })];
  const copy = () => {
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(a, 0, b, 0, 16);
    device.queue.submit([encoder.finish()]);
  };
  copy();
  b.destroy();
  expect(copy).toThrow("destroyed");
});
