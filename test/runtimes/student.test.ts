// One student: the same small distillation, by two recipes in turn with dropout on, ends in the same bytes on every engine and any number of
// threads. This file runs on all of them (test/hosts/).

import { expect, test } from "vitest";
import { grammarTokenizer, writeReviews } from "../../src/cli/grammar.ts";
import { type Files, memoryFiles, toBytes } from "../../src/formats/files.ts";
import { sha256 } from "../../src/sha256.ts";
import { distill } from "../../src/train/chain.ts";
import type { DistillOptions } from "../../src/train/distill.ts";
import { Run } from "../../src/train/handle.ts";
import { freshWeights, type Model } from "../../src/train/model.ts";
import { here } from "../hosts/here.ts";
import { tinyConfig } from "../train/tiny.ts";

/** A kernel that adds in another order, or another default of a recipe, makes another student: then, and only then, this changes. */
const STUDENT = "ba802dc98a906ed38d1fcb994402e8adefbc7afc2c466ca3f2b34d705f062f03";

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

/** 200 updates in all: 100 by pkd-skip, 60 and 40 by the stages of tinybert. */
async function student(threads: number): Promise<Files> {
  const shared = {
    teacher: teacher(),
    train: train(),
    device: "wasm",
    threads,
    batchSize: 8,
    learningRate: 1e-3,
    epochs: 4,
    seed: 7,
  } as const;
  const run = async (options: Omit<DistillOptions, keyof typeof shared>) => {
    const { steps } = await new Run(distill(runtime, { ...shared, ...options })).result;
    return steps;
  };
  const [first, second] = [memoryFiles(undefined, "first"), memoryFiles(undefined, "second")];
  const steps = [
    await run({ student: "layers:2", recipe: "pkd-skip", maxSteps: 100, out: first }),
    await run({
      student: first,
      recipe: "tinybert",
      stages: { intermediate: { maxSteps: 60 } },
      maxSteps: 40,
      out: second,
    }),
  ];
  expect(steps).toEqual([100, 100]);
  return second;
}

for (const threads of [1, 2])
  test(`one student, ${threads === 1 ? "one thread" : `${threads} threads`}`, async ({ skip }) => {
    const alone = runtime.oneThread?.();
    skip(threads > 1 && alone !== undefined, alone);
    expect(await sha256(await (await student(threads)).read("model.safetensors"))).toBe(STUDENT);
  });
