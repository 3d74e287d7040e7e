// What limbeck writes, as Hugging Face's own library reads it: every tensor has its place, and token ids and logits are those that limbeck
// has. LIMBECK_PYTHON names a Python with torch and transformers; without it nothing runs here. BiLSTM and IB-BERT are left out: transformers
// has no such classes.

import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Batch, makeBatch } from "../../src/data/batch.ts";
import type { Task } from "../../src/formats/config.ts";
import { distill, finetune, pretrain } from "../../src/index.ts";
import { familyOf } from "../../src/models/index.ts";
import { recipes } from "../../src/recipes/index.ts";
import { nodeFiles } from "../../src/runtimes/nodeFiles.ts";
import { alone } from "../../src/train/evaluate.ts";
import { loadModel } from "../../src/train/model.ts";
import { featureOf, featureProgram } from "../../src/train/programs.ts";
import { Predictor, placeWeights, shapeOf, writeBatch } from "../../src/train/trainer.ts";
import { makeTiny, type Tiny } from "../cli/tiny.ts";
import { wasm } from "../executors/each.ts";

const asked = process.env.LIMBECK_PYTHON || "0";
const python = asked === "1" ? "python3" : asked;
const absent = asked === "0";
const data = process.env.LIMBECK_DATA;

/** f32 on both sides, whose sums have other orders: ten times what was found (1.1e-6). */
const TOLERANCE = 1e-5;

const TEXTS: readonly (readonly [text: string, pair: string | null])[] = [
  ["the soup was bland", null],
  ["The Staff, were not friendly!", null],
  ["  Café naïve — ŠÁRKA's 東京\t𠀀 😀 don't\u00a0stop…", null],
  ["the soup was bland", "the staff were friendly"],
  ["", null],
  [`${"long ".repeat(200)}end`, null],
  ["one", `${"much longer ".repeat(100)}`],
];

interface Answer {
  readonly architecture: string;
  readonly class: string;
  readonly tokenizer: string;
  /** Tokens behind which texts are cut. */
  readonly longest: number;
  readonly labels: readonly string[] | null;
  readonly wrong: Readonly<Record<string, readonly string[]>>;
  readonly rows: readonly { input_ids: number[]; token_type_ids?: number[]; logits: number[] }[];
}

let tiny: Tiny;
const path = (name: string) => join(tiny.folder, name);
beforeAll(async () => {
  tiny = await makeTiny();
});
afterAll(() => tiny?.remove());

/** Folders by how they are made, with the classes that transformers is to take for them. */
async function folders(): Promise<ReadonlyMap<string, string>> {
  const few = { maxSteps: 3, batchSize: 8, learningRate: 1e-2, device: "wasm", threads: 1 } as const;
  const train = path("train.tsv");
  const score = path("scores.tsv");
  await writeFile(
    score,
    `sentence\tlabel\n${Array.from({ length: 16 }, (_, i) => `the soup ${i}\t${i / 4}\n`).join("")}`,
  );
  const made = new Map<string, string>();
  const teacher = path("teacher");
  await finetune({ ...few, train, model: path("base"), out: teacher }).result;
  made.set("teacher", "BertForSequenceClassification");
  const scores = { train: score, data: { task: "regression" } } as const;
  await finetune({ ...few, ...scores, model: path("base"), out: path("scores") }).result;
  made.set("scores", "BertForSequenceClassification");
  for (const [student, name] of [
    ["layers:1", "BertForSequenceClassification"],
    ["bert:1x16x2", "BertForSequenceClassification"],
    ["slice:1x16", "BertForSequenceClassification"],
    ["distilbert:layers:1", "DistilBertForSequenceClassification"],
    ["distilbert:2x24x2", "DistilBertForSequenceClassification"],
    ["mobilebert:2x24x8", "MobileBertForSequenceClassification"],
  ]) {
    await distill({ ...few, train, teacher, student, recipe: "kd", out: path(student) }).result;
    made.set(student, name);
  }
  // Fewer positions than its tokenizer was made for.
  const short = { ...JSON.parse(await readFile(path("teacher/config.json"), "utf8")), max_position_embeddings: 24 };
  await writeFile(path("short.json"), JSON.stringify(short));
  const shortened = { train, teacher, student: path("short.json"), recipe: "kd", out: path("short") } as const;
  await distill({ ...few, ...shortened, maxLength: 24 }).result;
  made.set("short", "BertForSequenceClassification");
  const words = { ...few, text: train, evalText: path("dev.tsv") };
  for (const [model, name] of [
    ["bert:1x16x2", "BertForMaskedLM"],
    ["distilbert:1x16x2", "DistilBertForMaskedLM"],
    ["mobilebert:1x130x8", "MobileBertForMaskedLM"],
  ]) {
    await pretrain({ ...words, model, tokenizer: path("base"), out: path(name) }).result;
    made.set(name, name);
  }
  const { task, ...stages } = recipes["minilm-v2"].stages;
  const general = { teacher: path("base"), recipe: { ...recipes["minilm-v2"], stages }, relationHeads: 2, text: train };
  for (const [student, name] of [
    ["bert:1x16x2", "BertModel"],
    ["distilbert:1x16x2", "DistilBertModel"],
    ["mobilebert:1x24x8", "MobileBertModel"],
  ]) {
    await distill({ ...few, ...general, student, out: path(name) }).result;
    made.set(name, name);
  }
  if (data) {
    const tokenizer = join(data, "bert-base-uncased-tokenizer");
    await pretrain({ ...words, model: "bert:1x16x2", tokenizer, out: path("real") }).result;
    await finetune({ ...few, train, model: path("real"), out: path("real vocabulary") }).result;
    made.set("real vocabulary", "BertForSequenceClassification");
  }
  return made;
}

function ask(question: object): Promise<Answer[]> {
  const script = new URL("readers.py", import.meta.url).pathname;
  return new Promise((resolve, reject) => {
    const env = { ...process.env, HF_HUB_OFFLINE: "1", TOKENIZERS_PARALLELISM: "false" };
    const child = execFile(python, [script], { env, maxBuffer: 2 ** 28 }, (error, stdout, stderr) =>
      error ? reject(new Error(stderr, { cause: error })) : resolve(JSON.parse(stdout)),
    );
    child.stdin?.end(JSON.stringify(question));
  });
}

/** Ids, segments and logits (of a body its last states) as limbeck has them. */
async function own(folder: string, tasks: readonly Task[], longest: number): Promise<Answer["rows"]> {
  const model = await loadModel(nodeFiles(folder), { tasks });
  const executor = await wasm(1).make();
  expect(longest, folder).toBeLessThanOrEqual(model.config.max_position_embeddings);
  placeWeights(executor, "m", model.weights);
  const placed = { owner: "m", config: model.config };
  const predictor = new Predictor(executor, placed);
  const { layers, width } = familyOf(model.config).size(model.config);
  const last = `hidden.${layers - 1}`;
  const states = async (batch: Batch) => {
    const program = executor.load(featureProgram(placed, [last], shapeOf(batch)));
    writeBatch(executor, batch, [program]);
    executor.run(program);
    const kept = { name: featureOf("m", last), shape: [batch.rows, width], dtype: "f32" } as const;
    return (await executor.read(kept)).subarray(0, batch.tokens * width);
  };
  const rows: Answer["rows"][number][] = [];
  for (const [text, pair] of TEXTS) {
    const { ids, segments } = model.tokenizer.encode(text, pair ?? undefined, longest);
    // A masked-LM says something of every token, whether it is masked or not.
    const all = makeBatch([{ ids, segments, targets: ids }], { size: 1, maskedMost: ids.length });
    const one = alone({ ids, segments });
    const logits = tasks.includes("maskedLm")
      ? await predictor.maskedLogits(all)
      : await (tasks.length > 0 ? predictor.logits(one) : states(one));
    rows.push({ input_ids: [...ids], token_type_ids: [...segments], logits: [...logits] });
  }
  executor.dispose();
  return rows;
}

const without = absent ? " (skipped: LIMBECK_PYTHON names no Python with transformers)" : "";
test.skipIf(absent)(
  `folders of every kind load in transformers, with the same ids and logits${without} [E1]`,
  async () => {
    const made = await folders();
    const answers = await ask({ folders: [...made.keys()].map(path), texts: TEXTS });
    let most = 0;
    for (const [i, [name, expected]] of [...made].entries()) {
      const { rows, wrong, ...answer } = answers[i];
      const tasks: Task[] = expected.endsWith("ForMaskedLM")
        ? ["maskedLm"]
        : expected.endsWith("Model")
          ? []
          : ["classification"];
      const labels = name === "scores" ? ["LABEL_0"] : tasks[0] === "classification" ? ["negative", "positive"] : null;
      expect(answer, name).toMatchObject({ architecture: expected, class: expected, training: false, labels });
      expect(answer.tokenizer, name).toMatch(/^(Distil|Mobile)?BertTokenizer/);
      expect(wrong, name).toEqual({ missing_keys: [], unexpected_keys: [], mismatched_keys: [] });
      for (const [row, mine] of (await own(path(name), tasks, answer.longest)).entries()) {
        const theirs = rows[row];
        expect(mine.input_ids, `${name}, text ${row}`).toEqual(theirs.input_ids);
        if (theirs.token_type_ids) expect(mine.token_type_ids).toEqual(theirs.token_type_ids);
        expect(mine.logits.length).toBe(theirs.logits.length);
        most = Math.max(most, ...mine.logits.map((x, at) => Math.abs(x - theirs.logits[at])));
      }
    }
    expect(most).toBeLessThanOrEqual(TOLERANCE);
  },
);
