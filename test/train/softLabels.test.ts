// Distillation from columns of soft labels: the student of a teacher that is not there.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readDataset } from "../../src/data/dataset.ts";
import { type DistillOptions, distill, finetune } from "../../src/index.ts";
import { node } from "../../src/runtimes/node.ts";
import { encode, predictAll } from "../../src/train/evaluate.ts";
import type { Model } from "../../src/train/model.ts";
import { openDevice } from "../../src/train/session.ts";
import { Predictor, placeWeights } from "../../src/train/trainer.ts";
import { makeTiny, type Tiny } from "../cli/tiny.ts";
import { bytesOf } from "./tiny.ts";

let tiny: Tiny;
let teacher: Model;
const path = (name: string) => join(tiny.folder, name);
const common = () =>
  ({ train: path("soft.tsv"), maxSteps: 4, batchSize: 8, threads: 1, loggingSteps: 1, device: "wasm" }) as const;

/** Of every training row, on WASM: they do not depend on what else is in a batch. [rows, 2] */
async function logitsOf(model: Model, texts: readonly string[]): Promise<Float32Array> {
  const file = new TextEncoder().encode(`sentence\n${texts.join("\n")}\n`);
  const set = encode(await readDataset(file, "f.tsv"), model.tokenizer, 64);
  const { executor } = await openDevice(node, { device: "wasm", threads: 1 });
  placeWeights(executor, "model", model.weights);
  const logits = await predictAll(new Predictor(executor, { owner: "model", config: model.config }), set.rows);
  executor.dispose();
  return logits;
}

let texts: string[];
beforeAll(async () => {
  tiny = await makeTiny();
  const rows = (await readDataset(await node.readFile(path("train.tsv")), "train.tsv")).examples;
  texts = rows.map(({ text }) => text);
  const trained = { train: path("train.tsv"), maxSteps: 6, batchSize: 8, learningRate: 1e-2, threads: 1 };
  teacher = (await finetune({ ...trained, device: "wasm", model: path("base"), out: path("teacher") }).result).model;
  const logits = await logitsOf(teacher, texts);
  const lines = rows.map(({ text, label }, i) => {
    const [a, b] = logits.subarray(2 * i, 2 * i + 2);
    const q = 1 / (1 + Math.exp(a - b));
    return [text, ["negative", "positive"][label as number], a, b, 1 - q, q, b - a].join("\t");
  });
  await writeFile(path("soft.tsv"), `sentence\tlabel\tz0\tz1\tp0\tp1\tscore\n${lines.join("\n")}\n`);
});
afterAll(() => tiny?.remove());

async function lossesOf(options: DistillOptions) {
  const losses: number[] = [];
  const run = distill(options);
  for await (const event of run) if (event.type === "step") losses.push(event.loss);
  return { losses, ...(await run.result) };
}
const logits = { softLabels: { columns: ["z0", "z1"], form: "logits" } } as const;
const probabilities = { softLabels: { columns: ["p0", "p1"] } } as const;

describe("as from the teacher itself", () => {
  test("logits: kd gives the very bytes of the run with the teacher", async () => {
    const given = { ...common(), recipe: "kd", temperature: 3 };
    const live = await lossesOf({ ...given, teacher, student: "layers:1" });
    const offline = await lossesOf({ ...given, student: "layers:1", initFrom: teacher, data: logits });
    expect(offline.losses).toEqual(live.losses);
    expect(bytesOf(offline.model.weights)).toBe(bytesOf(live.model.weights));
    expect(offline.judged.map(({ role }) => role)).toEqual(["student"]);
  });

  test("probabilities: the same soft labels at every temperature, to f32's rounding", async () => {
    const given = { ...common(), recipe: "kd", temperature: { from: 5, to: 1, curve: "linear" } } as const;
    const live = await lossesOf({ ...given, teacher, student: "layers:1" });
    const offline = await lossesOf({ ...given, student: "layers:1", initFrom: teacher, data: probabilities });
    for (const [i, loss] of offline.losses.entries()) expect(Math.abs(loss - live.losses[i])).toBeLessThan(1e-5);
  });

  test("logits: so does bilstm, a fresh student with vocabulary and word vectors of --init-from", async () => {
    const given = { ...common(), recipe: "bilstm", student: "bilstm:6x5", nIter: 0 };
    const live = await lossesOf({ ...given, teacher });
    const offline = await lossesOf({ ...given, initFrom: path("teacher"), data: logits });
    expect(offline.losses).toEqual(live.losses);
    expect(bytesOf(offline.model.weights)).toBe(bytesOf(live.model.weights));
  });
});

test("the first loss is the formula's", async () => {
  // 1 step over all rows, no learning: the student's logits are those of its starting weights, without dropout.
  const config = {
    ...teacher.config,
    hidden_dropout_prob: 0,
    attention_probs_dropout_prob: 0,
  } as typeof teacher.config;
  const student = { ...teacher, config, weights: new Map([...teacher.weights]) };
  const bias = student.weights.get("classifier.bias");
  student.weights.set("classifier.bias", { shape: [2], data: Float32Array.from(bias?.data ?? [], (x, i) => x + i) });
  const step = { ...common(), student, recipe: "kd", batchSize: texts.length, maxSteps: 1, learningRate: 0 };
  const T = 2;
  const { losses } = await lossesOf({ ...step, temperature: T, alpha: 1, data: probabilities });
  const [mine, theirs] = [await logitsOf(student, texts), await logitsOf(teacher, texts)];
  const softmax = (a: number, b: number) => [1 / (1 + Math.exp((b - a) / T)), 1 / (1 + Math.exp((a - b) / T))];
  const kl = texts.map((_, i) => {
    const q = softmax(mine[2 * i], mine[2 * i + 1]);
    return softmax(theirs[2 * i], theirs[2 * i + 1]).reduce((sum, p, c) => sum + p * Math.log(p / q[c]), 0);
  });
  const truth = (T * T * kl.reduce((a, b) => a + b)) / kl.length;
  expect(truth).toBeGreaterThan(0.1);
  expect(Math.abs(losses[0] - truth) / truth).toBeLessThan(1e-5);
});

test("regression: one column is the score", async () => {
  const data = { task: "regression", labelColumn: "z0", softLabels: { columns: ["score"] } } as const;
  const base = path("teacher");
  const { losses, model } = await lossesOf({ ...common(), recipe: "kd", student: "layers:1", initFrom: base, data });
  expect(model.config.problem_type).toBe("regression");
  expect(losses.every(Number.isFinite)).toBe(true);
});

test("argmax: the larger soft label is the label", async () => {
  const given = { ...common(), recipe: "hard", targets: "argmax" } as const;
  const live = await lossesOf({ ...given, teacher, student: "layers:1" });
  const offline = await lossesOf({ ...given, student: "layers:1", initFrom: teacher, data: probabilities });
  expect(offline.losses).toEqual(live.losses);
});

test("stages on plain text have a teacher of their own", async () => {
  const given = { ...common(), recipe: "minilm-v2", student: "bert:1x16x2", relationHeads: 2, data: probabilities };
  const text = { ...given, initFrom: teacher, text: path("train.tsv"), stages: { relations: { maxSteps: 2 } } };
  const { losses } = await lossesOf({ ...text, textTeacher: path("base") });
  expect(losses).toHaveLength(6);
  expect(losses.every(Number.isFinite)).toBe(true);
  await expect(lossesOf(text)).rejects.toMatchObject({ code: "RECIPE_TEACHERS" });
});

describe("refused", () => {
  test.each<[string, string, object]>([
    ["TEACHER", "--teacher is needed", { data: {} }],
    ["TEACHER", "not both", { teacher: "teacher" }],
    ["NO_FEATURE", "a file of soft labels has no cls, which the recipe reads", { recipe: "pkd-last" }],
    ["SOFT_LABELS", 'term "soft" of recipe "bilstm" compares logits themselves', { recipe: "bilstm", nIter: 0 }],
    ["SOFT_LABELS", 'recipe "bilstm" makes copies of texts', { recipe: "bilstm" }],
    ["SOFT_LABELS", "assistants stand between", { assistant: "bert:2x8x2" }],
    ["INIT_FROM", 'there is no teacher that "layers:1" could have its layers from', { initFrom: undefined }],
    ["INIT_FROM", "its vocabulary from", { initFrom: undefined, student: "bert:1x8x2" }],
  ])("%s: %s", async (code, message, more) => {
    const given = { ...common(), recipe: "kd", student: "layers:1", initFrom: teacher, data: probabilities, ...more };
    const refused = distill(given).result;
    await expect(refused).rejects.toMatchObject({ code });
    await expect(refused).rejects.toThrow(message);
  });

  test("by finetune, which has no use for them", async () => {
    const refused = finetune({ model: path("base"), train: path("soft.tsv"), data: probabilities }).result;
    await expect(refused).rejects.toMatchObject({ code: "SOFT_LABELS" });
  });
});
