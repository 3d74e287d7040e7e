// A teacher with another vocabulary than its student: logits are all that it can tell.

import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readDataset } from "../../src/data/dataset.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { type DistillOptions, distill, finetune, type Model, plan } from "../../src/index.ts";
import { node } from "../../src/runtimes/node.ts";
import { encode, predictAll } from "../../src/train/evaluate.ts";
import { freshWeights } from "../../src/train/model.ts";
import { Predictor, placeWeights } from "../../src/train/trainer.ts";
import { makeTiny, type Tiny } from "../cli/tiny.ts";
import { wasm } from "../executors/each.ts";
import { bytesOf } from "./tiny.ts";

let tiny: Tiny;
let teacher: Model;
/** The same words, their numbers turned round behind the special ones. */
let student: Model;
const path = (name: string) => join(tiny.folder, name);
const options = (more: Partial<DistillOptions> = {}): DistillOptions => ({
  ...{ teacher, student, train: path("train.tsv"), recipe: "kd", device: "wasm", threads: 1 },
  ...{ maxSteps: 4, batchSize: 8, learningRate: 1e-3, loggingSteps: 1, seed: 3 },
  ...more,
});

beforeAll(async () => {
  tiny = await makeTiny();
  const trained = { train: path("train.tsv"), maxSteps: 6, batchSize: 8, learningRate: 1e-2 };
  teacher = (await finetune({ ...trained, device: "wasm", threads: 1, model: path("base") }).result).model;
  const words = (teacher.tokenizer.files.get("vocab.txt") as string).trim().split("\n");
  const turned = [...words.slice(0, 5), ...words.slice(5).reverse()];
  const config = { ...teacher.config, num_hidden_layers: 1 } as Model["config"];
  student = {
    ...{ name: "student", config, weights: freshWeights(config, 5), notes: [] },
    tokenizer: loadTokenizer(new Map([["vocab.txt", `${turned.join("\n")}\n`]])),
  };
});
afterAll(() => tiny?.remove());

test("teaches by the logits of its own token ids, as if the file had them [M8]", async () => {
  const dataset = await readDataset(await node.readFile(path("train.tsv")), "train.tsv");
  const executor = await wasm(1).make();
  placeWeights(executor, "m", teacher.weights);
  const { rows } = encode(dataset, teacher.tokenizer, 64);
  const logits = await predictAll(new Predictor(executor, { owner: "m", config: teacher.config }), rows);
  executor.dispose();
  const lines = dataset.examples.map(({ text, label }, i) =>
    [text, ["negative", "positive"][label as number], logits[2 * i], logits[2 * i + 1]].join("\t"),
  );
  const bytes = new TextEncoder().encode(`sentence\tlabel\tz0\tz1\n${lines.join("\n")}\n`);
  const softLabels = { columns: ["z0", "z1"], form: "logits" } as const;

  const given = await distill(options({ teacher: undefined, train: { name: "soft.tsv", bytes }, data: { softLabels } }))
    .result;
  const live = await distill(options()).result;
  expect(bytesOf(live.model.weights)).toBe(bytesOf(given.model.weights));
  expect(
    live.notes.some((note) => /has another vocabulary: it reads the rows with its own tokenizer, once/.test(note)),
  );
  // With the student's token ids it would say other things.
  const deaf = await distill(options({ teacher: { ...teacher, tokenizer: student.tokenizer } })).result;
  expect(bytesOf(deaf.model.weights)).not.toBe(bytesOf(live.model.weights));
});

test("is judged on its own token ids, and its class can stand in for labels", async () => {
  const { judged } = await distill(options({ eval: path("dev.tsv"), targets: "argmax" })).result;
  const own = await distill(options({ student: "layers:1", eval: path("dev.tsv") })).result;
  expect(judged[0].metrics?.accuracy).toBe(own.judged[0].metrics?.accuracy);
  expect(judged[1].metrics?.agreement).toBeGreaterThan(0);
});

test("can be planned", async () => {
  const { notes, steps } = await plan(options());
  expect(steps).toBe(4);
  expect(notes).toContain("the teacher's one pass over the rows comes on top");
});

test.each([
  [{ recipe: "pkd-skip" }, /its vocabulary differs from that of .*; "patience" compares the models token by token/],
  [{ recipe: "tinybert" }, /"embedding", "hidden", "attention" compare the models token by token/],
])("is refused where tokens are compared: %j", async (more, message) => {
  await expect(distill(options(more)).result).rejects.toThrow(message);
});

test("is refused in an ensemble", async () => {
  const run = distill(options({ teacher: [teacher, teacher] }));
  await expect(run.result).rejects.toThrow(/of an ensemble all must read the same token ids/);
});
