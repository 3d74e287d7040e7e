// One student: the same small distillation, by two recipes in turn with dropout on, ends in the same bytes on every engine and any number of
// threads; on a GPU every loss on the way, and the weights at the end, are WASM's within a bound. This file runs on all of them (test/hosts/).

import { expect, test } from "vitest";
import { grammarTokenizer, writeReviews } from "../../src/cli/grammar.ts";
import { memoryFiles, toBytes } from "../../src/formats/files.ts";
import { parseSafetensors, toFloat32 } from "../../src/formats/safetensors.ts";
import { sha256 } from "../../src/sha256.ts";
import { distill } from "../../src/train/chain.ts";
import type { DistillOptions } from "../../src/train/distill.ts";
import { Run } from "../../src/train/handle.ts";
import { freshWeights, type Model } from "../../src/train/model.ts";
import type { DeviceOptions } from "../../src/train/options.ts";
import { webgpu } from "../executors/each.ts";
import { here } from "../hosts/here.ts";
import { tinyConfig } from "../train/tiny.ts";

/** A kernel that adds in another order, or another default of a recipe, makes another student: then, and only then, this changes. */
const STUDENT = "ba802dc98a906ed38d1fcb994402e8adefbc7afc2c466ca3f2b34d705f062f03";

/** What is promised of WebGPU beside WASM: of every loss, relative; and of every weight at the end, relative to the largest of its tensor. */
const [LOSS_BOUND, WEIGHT_BOUND] = [1e-3, 1e-3];

/** Updates on a GPU, where a driver on the CPU takes a second for each. */
const SHORT = 20;

const { runtime } = here;

function teacher(): Model {
  const tokenizer = grammarTokenizer();
  const config = { ...tinyConfig(4), vocab_size: tokenizer.vocabularySize };
  return { name: "a teacher", config, weights: freshWeights(config, 1), tokenizer, notes: [] };
}

function train(): { name: string; bytes: Uint8Array } {
  const rows = writeReviews(1, "train", 200).map(
    ({ text, label }) => `${text}\t${label === "positive" ? "yes" : "no"}\n`,
  );
  return { name: "train.tsv", bytes: toBytes(`sentence\tlabel\n${rows.join("")}`) };
}

interface Student {
  readonly bytes: Uint8Array;
  /** Of every update. */
  readonly losses: readonly number[];
}

/** Half of the updates by pkd-skip, three and two tenths by the stages of tinybert. */
async function student(updates: number, device: Partial<DeviceOptions>): Promise<Student> {
  const shared = { batchSize: 8, learningRate: 1e-3, epochs: 4, seed: 7, loggingSteps: 1, ...device };
  const losses: number[] = [];
  const follow = async (options: Omit<DistillOptions, "teacher" | "train">) => {
    const run = new Run(distill(runtime, { ...shared, ...options, teacher: teacher(), train: train() }));
    for await (const event of run) if (event.type === "step") losses.push(event.loss);
    expect((await run.result).steps).toBe(updates / 2);
  };
  const [first, second] = [memoryFiles(undefined, "first"), memoryFiles(undefined, "second")];
  await follow({ student: "layers:2", recipe: "pkd-skip", maxSteps: 0.5 * updates, out: first });
  const stages = { intermediate: { maxSteps: 0.3 * updates } };
  await follow({ student: first, recipe: "tinybert", stages, maxSteps: 0.2 * updates, out: second });
  expect(losses).toHaveLength(updates);
  return { bytes: await second.read("model.safetensors"), losses };
}

for (const threads of [1, 2])
  test(`one student, ${threads === 1 ? "one thread" : `${threads} threads`}`, async ({ skip }) => {
    const alone = runtime.oneThread?.();
    skip(threads > 1 && alone !== undefined, alone);
    const { bytes } = await student(200, { device: "wasm", threads });
    expect(await sha256(bytes)).toBe(STUDENT);
  });

test("one student, on a GPU", async ({ skip }) => {
  skip(webgpu.missing !== undefined, webgpu.missing);
  const [right, found] = [
    await student(SHORT, { device: "wasm", threads: 1 }),
    await student(SHORT, { device: "webgpu" }),
  ];
  for (const [i, loss] of found.losses.entries())
    expect(Math.abs(loss / right.losses[i] - 1), `the loss of update ${i + 1}`).toBeLessThanOrEqual(LOSS_BOUND);
  const [weights, others] = [right, found].map(({ bytes }) => parseSafetensors(bytes, "model.safetensors").tensors);
  expect([...others.keys()]).toEqual([...weights.keys()]);
  for (const [name, tensor] of weights) {
    // A softmax does not see what is added to all scores of a row: by pkd-skip the true gradient is 0, and AdamW makes steps of its rounding.
    if (name.endsWith(".key.bias")) continue;
    const [is, should] = [toFloat32(others.get(name)!, name), toFloat32(tensor, name)];
    const largest = should.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const apart = is.reduce((most, x, i) => Math.max(most, Math.abs(x - should[i])), 0);
    expect(apart / largest, name).toBeLessThanOrEqual(WEIGHT_BOUND);
  }
});
