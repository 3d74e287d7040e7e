// TinyBERT's copies in a run: candidates are those of the masked-LM's logits, the same seed makes the same student, what is missing is said
// before the training.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { STOP_WORDS } from "../../src/data/augmentation/stopWords.ts";
import { wordTokens } from "../../src/data/augmentation/substitutes.ts";
import { makeBatch } from "../../src/data/batch.ts";
import type { Example } from "../../src/data/examples.ts";
import { type DistillOptions, distill, finetune, type Model, plan, pretrain, recipes } from "../../src/index.ts";
import { batchValues, shown } from "../../src/models/features.ts";
import { traceModel } from "../../src/models/index.ts";
import { keep, linear } from "../../src/ops/index.ts";
import { Trace } from "../../src/program/program.ts";
import { Scope } from "../../src/program/scope.ts";
import { node } from "../../src/runtimes/node.ts";
import { nodeFiles } from "../../src/runtimes/nodeFiles.ts";
import { distillSetup } from "../../src/train/distill.ts";
import { loadModel } from "../../src/train/model.ts";
import { withCopies } from "../../src/train/substitutes.ts";
import { placeWeights, shapeOf, writeBatch } from "../../src/train/trainer.ts";
import { makeTiny, type Tiny } from "../cli/tiny.ts";
import { devices } from "../executors/each.ts";

let tiny: Tiny;
/** Its head is fresh: a seeded one says as much about the copies as a trained one. */
let mlm: Model;
const path = (name: string) => join(tiny.folder, name);
const TEXTS = ["the soup was tasty and the waiter was rude", "the table felt untidy , but the bread was fresh"];
const given = (more: Partial<DistillOptions> = {}): DistillOptions => ({
  ...{ teacher: path("teacher"), student: "bert:1x16x2", recipe: "tinybert", train: path("few.tsv") },
  ...{ device: "wasm", threads: 1, batchSize: 8, maxSteps: 1, stages: { intermediate: { maxSteps: 1 } }, seed: 3 },
  ...{ augmentationModel: mlm },
  ...more,
});

beforeAll(async () => {
  tiny = await makeTiny();
  await finetune({
    ...{ model: path("base"), train: path("train.tsv"), out: path("teacher"), device: "wasm", threads: 1, maxSteps: 1 },
  }).result;
  mlm = await loadModel(nodeFiles(path("base")), { tasks: ["maskedLm"], freshMaskedLm: true, seed: 5 });
  await writeFile(
    path("few.tsv"),
    `sentence\tlabel\n${TEXTS.map((text, i) => `${text}\t${["negative", "positive"][i]}\n`).join("")}`,
  );
});
afterAll(() => tiny?.remove());

/** The rows that a run would train on. */
async function rows(more: Partial<DistillOptions> = {}): Promise<readonly Example[]> {
  const options = given(more);
  const made = withCopies(node, await distillSetup(node, options), options);
  for (;;) {
    const next = await made.next();
    if (next.done) return [...next.value.data.train.examples];
  }
}

/** The K best tokens for a word, from the logits of all rows of one sequence, by sorting them. */
async function bestByHand(text: string, word: string, K: number): Promise<string[]> {
  const { tokenizer, config, weights } = mlm;
  const [cls, sep] = [tokenizer.vocabulary.get("[CLS]"), tokenizer.vocabulary.get("[SEP]")] as number[];
  const pieces = tokenizer.encode(text).ids.slice(1, -1);
  const place = pieces.indexOf(tokenizer.vocabulary.get(word) as number);
  const masked = pieces.map((id, i) => (i === place ? (tokenizer.maskId as number) : id));
  const ids = [cls, ...masked, sep, ...pieces, sep];
  const batch = makeBatch([{ ids, segments: ids.map((_, i) => (i > pieces.length + 1 ? 1 : 0)) }], { size: 1 });
  const trace = new Trace();
  const features = traceModel(new Scope(trace, "m", false), config, batchValues(trace, shapeOf(batch)));
  const { rows, table, bias } = shown(features, "m").vocabulary;
  keep(linear(rows, table, bias), "logits");
  const executor = await devices[0].make();
  placeWeights(executor, "m", weights);
  const program = executor.load(trace.finish("all"));
  writeBatch(executor, batch, [program]);
  executor.run(program);
  const V = config.vocab_size;
  const all = await executor.read({ name: "logits", shape: [batch.rows, V], dtype: "f32" });
  const own = Array.from(all).slice((1 + place) * V, (2 + place) * V);
  const words = wordTokens(tokenizer);
  const order = own.map((_, id) => id).filter((id) => words[id] !== undefined);
  executor.dispose();
  return order
    .sort((a, b) => own[b] - own[a])
    .slice(0, K)
    .map((id) => words[id] as string);
}

/** Of the word's pieces' mean, the token whose vector has the largest cosine. */
function nearestByHand(word: string): string {
  const { tokenizer, weights } = mlm;
  const { shape, data } = weights.get("bert.embeddings.word_embeddings.weight") as {
    shape: number[];
    data: Float32Array;
  };
  const vector = (id: number) => Array.from(data.subarray(id * shape[1], (id + 1) * shape[1]));
  const pieces = tokenizer.encode(word).ids.slice(1, -1);
  expect(pieces.length).toBeGreaterThan(1);
  const mean = pieces
    .map(vector)
    .reduce((a, b) => a.map((x, i) => x + b[i]))
    .map((x) => x / pieces.length);
  const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i], 0);
  const cosine = (id: number) => dot(mean, vector(id)) / Math.sqrt(dot(mean, mean) * dot(vector(id), vector(id)));
  const ids = wordTokens(tokenizer).flatMap((token, id) => (token === undefined ? [] : [id]));
  return wordTokens(tokenizer)[ids.reduce((a, b) => (cosine(b) > cosine(a) ? b : a))] as string;
}

const sure = { pReplace: 1, candidates: 1, nIter: 3 };

describe("copies", () => {
  test("every word becomes the masked-LM's best, or the nearest where it has several pieces", async () => {
    const made = (await rows(sure)).slice(2);
    expect(made.length).toBe(2);
    for (const [i, text] of TEXTS.entries()) {
      const words = text.split(" ");
      const expected: string[] = [];
      for (const word of words) {
        if (STOP_WORDS.has(word) || word === ",") expected.push(word);
        else if (mlm.tokenizer.vocabulary.has(word)) expected.push(...(await bestByHand(text, word, 1)));
        else expected.push(nearestByHand(word));
      }
      expect(made[i].text).toBe(expected.join(" "));
      expect(made[i].text).not.toBe(text);
      expect("label" in made[i]).toBe(false);
    }
  });

  test("the K best, and no other, take a word's place", async () => {
    const all = (await rows({ ...sure, candidates: 3, nIter: 60 })).slice(2).map(({ text }) => text);
    const first = all.filter((text) => text.includes(" and the "));
    const soups = new Set(first.map((text) => text.split(" ")[1]));
    expect([...soups].sort()).toEqual((await bestByHand(TEXTS[0], "soup", 3)).sort());
    expect(new Set(all).size).toBe(all.length);
  });

  test("vectors of a file stand for words of several pieces; its first line of equal ones", async () => {
    const bytes = new TextEncoder().encode("soup 1 0\nuntidy 0 2\nmessy 0.1 5\ntidy -1 1\n");
    const [, , , made] = await rows({ ...sure, augmentationVectors: { name: "glove.txt", bytes } });
    expect(made.text.split(" ")[3]).toBe("messy");
    const none = new TextEncoder().encode("soup 1 0\n");
    const [, , , kept] = await rows({ ...sure, augmentationVectors: { name: "glove.txt", bytes: none } });
    expect(kept.text.split(" ")[3]).toBe("untidy");
  });

  test("the same on two threads and for the reference; other copies with another seed", async () => {
    const once = await rows({ nIter: 8 });
    expect(once.length).toBeGreaterThan(8);
    expect(await rows({ nIter: 8, threads: 2 })).toEqual(once);
    expect(await rows({ nIter: 8, device: "reference" })).toEqual(once);
    expect(await rows({ nIter: 8, seed: 4 })).not.toEqual(once);
  });
});

describe("a run", () => {
  test("from a folder: both stages read the copies; the same bytes again; the record names the model", async () => {
    const notes: string[] = [];
    const text = { text: path("train.tsv"), maxSteps: 1, batchSize: 8, device: "wasm", threads: 1 } as const;
    await pretrain({ ...text, model: path("base"), out: path("mlm") }).result;
    const copies = { nIter: 4, augmentationModel: path("mlm") };
    const run = distill(given({ ...copies, out: path("student") }));
    for await (const event of run) if (event.type === "note") notes.push(event.text);
    const { model } = await run.result;
    expect(JSON.parse(await readFile(path("student/limbeck.json"), "utf8"))).toMatchObject({
      options: { augmentationModel: path("mlm") },
      recipe: { augmentation: { pReplace: 0.4, candidates: 15, nIter: 4, pairNIter: 4 } },
    });
    expect(notes.join("\n")).toMatch(/few\.tsv: \d+ texts were made of its 2; they have no labels/);
    const again = await distill(given(copies)).result;
    expect([...again.model.weights]).toEqual([...model.weights]);
    const without = await distill(given({ augmentationModel: undefined })).result;
    expect([...without.model.weights]).not.toEqual([...model.weights]);
    expect(without.notes.join("\n")).toContain("tinybert: no copies of the texts; --augmentation-model makes them");
  });

  test("a signal ends the asking, too", async () => {
    const signal = AbortSignal.abort();
    expect(await rows({ signal })).toHaveLength(2);
    expect(await distill(given({ signal })).result).toMatchObject({ steps: 0, complete: false });
  });

  test("assistants learn from the same copies, which are made once", async () => {
    const run = distill(given({ nIter: 4, recipe: kdWithCopies, stages: undefined, assistant: "bert:2x16x2" }));
    const notes: string[] = [];
    for await (const event of run) if (event.type === "note") notes.push(event.text);
    await run.result;
    expect(notes.filter((text) => text.includes("is asked for other words")).length).toBe(1);
    expect(notes.filter((text) => text.includes("texts were made of its 2")).length).toBe(2);
  });

  test("the plan counts the copies that there may be", async () => {
    const planned = await plan({ ...given({ nIter: 4 }), maxSteps: undefined });
    expect(planned.rows).toBe(2 * 5);
    expect(planned.notes.join("\n")).toContain("4 copies of each row");
  });
});

const kdWithCopies = { ...recipes.kd, augmentation: { pReplace: 0.4, candidates: 15, nIter: 20, pairNIter: 20 } };

describe("what is missing is said before anything is trained", () => {
  test.each([
    [{ augmentationModel: undefined, nIter: 3 }, "NO_AUGMENTATION_MODEL", "--n-iter: copies of the texts need a model"],
    [{ augmentationModel: undefined, pReplace: 0.3 }, "NO_AUGMENTATION_MODEL", "--p-replace"],
    [
      { augmentationModel: undefined, augmentationVectors: "glove.txt" },
      "NO_AUGMENTATION_MODEL",
      "--augmentation-vectors",
    ],
    [{ recipe: "kd" }, "RECIPE_OPTION", '--augmentation-model: recipe "kd" asks no masked-LM'],
    [{ recipe: "bilstm", student: "bilstm:4" }, "RECIPE_OPTION", 'recipe "bilstm" asks no masked-LM'],
    [{ recipe: "bilstm", pReplace: 0.2 }, "RECIPE_OPTION", 'recipe "bilstm" has no words of a masked-LM'],
    [{ pMask: 0.2 }, "RECIPE_OPTION", 'recipe "tinybert" has no masked words, parts of speech or n-grams'],
    [{ pos: false }, "RECIPE_OPTION", "--no-pos"],
    [{ candidates: 0 }, "OPTION_RANGE", "--candidates"],
    [{ pReplace: 1.5 }, "OPTION_RANGE", "--p-replace"],
  ])("%o", async (more, code, message) => {
    const refused = distill(given(more as Partial<DistillOptions>)).result;
    await expect(refused).rejects.toMatchObject({ code });
    await expect(refused).rejects.toThrow(message);
  });

  test("folders: without a masked-LM head, or none at all", async () => {
    await expect(distill(given({ augmentationModel: path("teacher") })).result).rejects.toMatchObject({
      code: "NO_MASKED_LM_HEAD",
    });
    await expect(distill(given({ augmentationModel: path("nowhere") })).result).rejects.toThrow("nowhere");
  });
});
