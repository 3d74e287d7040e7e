// A student of another family than its teacher: trained, saved, used, and a teacher itself.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { distill, finetune, loadModel, pretrain } from "../../src/index.ts";
import { recipes } from "../../src/recipes/index.ts";
import { makeTiny, type Tiny } from "../cli/tiny.ts";

let tiny: Tiny;
beforeAll(async () => {
  tiny = await makeTiny();
});
afterAll(() => tiny?.remove());

const path = (name: string) => join(tiny.folder, name);

test("BERT → DistilBERT → DistilBERT of fewer layers", async () => {
  const common = { train: path("train.tsv"), maxSteps: 3, batchSize: 8, threads: 1, loggingSteps: 1 };
  await finetune({ ...common, model: path("base"), out: path("teacher") }).result;
  const first = { ...common, teacher: path("teacher"), student: "distilbert:2x24x2", out: path("distilbert") };
  const { model } = await distill({ ...first, recipe: "kd" }).result;
  expect(model.config).toMatchObject({ model_type: "distilbert", dim: 24, n_layers: 2, id2label: { 0: "negative" } });
  const second = { ...common, teacher: path("distilbert"), student: "layers:1", out: path("small") };
  const losses: number[] = [];
  const run = distill({ ...second, recipe: "kd" });
  for await (const event of run) if (event.type === "step") losses.push(event.loss);
  expect(losses.every(Number.isFinite)).toBe(true);
  const classifier = await loadModel(path("small"), { threads: 1 });
  const [{ label, score }] = await classifier.predict(["the soup was bland"]);
  classifier.dispose();
  expect(["negative", "positive"]).toContain(label);
  expect(score).toBeGreaterThanOrEqual(0.5);
});

test("BERT → IB-BERT → MobileBERT, layer by layer, at once, and beside the labels; all of them folders", async () => {
  const common = { train: path("train.tsv"), batchSize: 8, threads: 1, loggingSteps: 1 };
  await finetune({ ...common, maxSteps: 1, model: path("base"), out: path("teacher3") }).result;
  const wide = { ...common, teacher: path("teacher3"), student: "ibbert:2x24x40", out: path("ibbert"), maxSteps: 3 };
  const { model: teacher } = await distill({ ...wide, recipe: "kd" }).result;
  expect(teacher.config).toMatchObject({ model_type: "ibbert", num_attention_heads: 2, intra_bottleneck_size: 40 });
  const student = { ...common, teacher: path("ibbert"), student: "mobilebert:2x24x8", maxSteps: 2 };
  const table = "mobilebert.embeddings.word_embeddings.weight";
  for (const [recipe, stages] of [
    ["mobilebert", ["transfer-1", "transfer-2", "task"]],
    ["mobilebert-joint", ["transfer", "task"]],
    ["mobilebert-auxiliary", [undefined]],
  ] as const) {
    const text = recipe === "mobilebert-auxiliary" ? {} : { text: path("train.tsv") };
    const own = "text" in text ? { stages: { transfer: { epochs: 0, maxSteps: 4 }, masked: { epochs: 0 } } } : {};
    const run = distill({ ...student, ...text, ...own, recipe, out: path(recipe) });
    const seen = new Set<string | undefined>();
    for await (const event of run)
      if (event.type === "step") {
        seen.add(event.stage);
        expect(Number.isFinite(event.loss) && event.loss > 0).toBe(true);
      }
    expect([...seen]).toEqual(stages);
    const { model } = await run.result;
    // Word vectors of the teacher, and what so few steps make of them.
    const [mine, theirs] = [model, teacher].map(({ weights }) => weights.get(table)?.data as Float32Array);
    const apart = Math.max(...mine.map((x, i) => Math.abs(x - theirs[i])));
    expect(apart).toBeLessThan(0.05);
    const classifier = await loadModel(path(recipe), { threads: 1 });
    const [{ label }] = await classifier.predict(["the soup was bland"]);
    classifier.dispose();
    expect(["negative", "positive"]).toContain(label);
  }
});

test("IB-BERT, pre-trained → MobileBERT: masked tokens behind the layers, with the head of the teacher", async () => {
  const text = path("train.tsv");
  const common = { batchSize: 8, threads: 1, loggingSteps: 1, maxSteps: 2 };
  const fresh = { ...common, model: "ibbert:2x130x24", tokenizer: path("base"), text };
  const { model } = await pretrain({ ...fresh, out: path("ibbertWords") }).result;
  expect(model.config).toMatchObject({ embedding_size: 128, num_attention_heads: 4 });
  expect(model.weights.get("cls.predictions.dense.weight")?.shape).toEqual([2, model.config.vocab_size]);
  await finetune({ ...common, train: text, model: path("ibbertWords"), out: path("ibbertTask") }).result;
  const stages = { transfer: { epochs: 0, maxSteps: 2 }, masked: { epochs: 0, maxSteps: 2 } };
  const run = distill({
    ...{ ...common, stages, train: text, text, evalText: path("dev.tsv"), recipe: "mobilebert", out: path("mobile") },
    ...{ teacher: path("ibbertTask"), textTeacher: path("ibbertWords"), student: "mobilebert:2x130x8" },
  });
  const seen = new Map<string | undefined, string[]>();
  const notes: string[] = [];
  for await (const event of run) {
    if (event.type === "note") notes.push(event.text);
    if (event.type !== "step") continue;
    seen.set(event.stage, Object.keys(event.terms));
    expect(Number.isFinite(event.loss) && event.loss > 0).toBe(true);
  }
  expect([...seen]).toEqual([
    ["transfer-1", ["hidden", "attention"]],
    ["transfer-2", ["hidden", "attention"]],
    ["masked", ["mlm", "soft"]],
    ["task", ["soft", "hard"]],
  ]);
  expect(notes.filter((note) => note.includes("cls."))).toEqual([]);
  const { model: student } = await run.result;
  expect([...student.weights.keys()].some((name) => name.startsWith("cls."))).toBe(false);
  const { task: _, ...onText } = recipes.mobilebert.stages;
  const general = distill({
    ...{ ...common, stages, text, recipe: { ...recipes.mobilebert, stages: onText } },
    ...{ teacher: path("ibbertWords"), student: "mobilebert:2x130x8" },
  });
  expect((await general.result).model.config.tasks).toEqual(["maskedLm"]);
  await expect(pretrain({ ...fresh, model: "ibbert:2x24x40" }).result).rejects.toThrow(
    /as wide between its layers as its embeddings, 128: this one is 24 wide/,
  );
});

test("BERT → BiLSTM: one channel learns, the other stays; the folder is a model as any other", async () => {
  const common = { train: path("train.tsv"), batchSize: 8, threads: 1, loggingSteps: 1 };
  await finetune({ ...common, maxSteps: 1, model: path("base"), out: path("teacher2") }).result;
  const student = { ...common, teacher: path("teacher2"), student: "bilstm:8x6", out: path("bilstm"), recipe: "kd" };
  const { model } = await distill({ ...student, maxSteps: 3, learningRate: 1e-2 }).result;
  expect(model.config).toMatchObject({ model_type: "bilstm", hidden_size: 8, classifier_size: 6 });
  const channel = (name: string) => model.weights.get(`embeddings.${name}.weight`)?.data;
  const { model: untrained } = await distill({ ...student, maxSteps: 3, learningRate: 0, out: undefined }).result;
  expect(channel("frozen")).toEqual(untrained.weights.get("embeddings.frozen.weight")?.data);
  expect(channel("trained")).not.toEqual(channel("frozen"));
  const classifier = await loadModel(path("bilstm"), { threads: 1 });
  const [{ label }] = await classifier.predict(["the soup was bland"]);
  classifier.dispose();
  expect(["negative", "positive"]).toContain(label);
  const { model: second } = await distill({ ...common, maxSteps: 1, teacher: path("bilstm"), student: "bilstm:4" })
    .result;
  expect(second.config).toMatchObject({ hidden_size: 4 });
});

test("the preset bilstm: copies of the texts, without labels, teach it; what it reads of them is recorded", async () => {
  const common = { train: path("train.tsv"), batchSize: 8, maxSteps: 3, threads: 1, loggingSteps: 1, seed: 5 };
  const given = { ...common, teacher: path("teacher2"), student: "bilstm:8x6", recipe: "bilstm" };
  const losses = async (more: object) => {
    const seen: number[] = [];
    const run = distill({ ...given, ...more });
    for await (const event of run) if (event.type === "step") seen.push(event.loss);
    return { seen, ...(await run.result) };
  };
  const first = await losses({ pos: false, nIter: 3, out: path("taught") });
  expect(first.seen).toHaveLength(3);
  expect(first.notes.join("\n")).toMatch(/train\.tsv: \d+ texts were made of its \d+; they have no labels/);
  expect((await losses({ pos: false, nIter: 3 })).seen).toEqual(first.seen);
  expect((await losses({ nIter: 0 })).notes.join("\n")).not.toContain("texts were made");
  // Words of the same part of speech, as compromise tells them.
  expect((await losses({ nIter: 2 })).seen).toHaveLength(3);
  await expect(distill({ ...given, recipe: "kd", nIter: 2 }).result).rejects.toThrow('recipe "kd" has no augmentation');
  await expect(distill({ ...given, pMask: 0.9, pPos: 0.2 }).result).rejects.toThrow("at most 1 together");
});

test("the preset bilstm on pairs: siamese, tags from columns, word vectors from a file", async () => {
  const texts = (await readFile(path("train.tsv"), "utf8")).trim().split("\n").slice(1, 25);
  const rows = texts.map((line, i) => {
    const pair = [line.split("\t")[0], texts[(i + 5) % 24].split("\t")[0]];
    // A part of speech by a word's length: any that the column names will do.
    const tags = pair.map((text) =>
      text
        .split(/\s+/)
        .map((word) => `t${word.length}`)
        .join(" "),
    );
    return [...pair, i % 2, ...tags].join("\t");
  });
  await writeFile(path("pairs.tsv"), `sentence1\tsentence2\tlabel\tpos1\tpos2\n${rows.join("\n")}\n`);
  await writeFile(path("vectors.txt"), "the 0.5 -1 2\nwas 1 1 -0.25\nzebra 9 9 9\n");
  const common = { train: path("pairs.tsv"), batchSize: 8, threads: 1, maxSteps: 2, device: "wasm" } as const;
  await finetune({ ...common, model: path("base"), out: path("pairs") }).result;
  const given = {
    ...common,
    teacher: path("pairs"),
    student: "bilstm:6x5",
    recipe: "bilstm",
    embeddings: path("vectors.txt"),
  };
  const data = { tagColumn: "pos1", pairTagColumn: "pos2" };
  const { model, notes } = await distill({ ...given, data, pPos: 0.5 }).result;
  expect(model.config).toMatchObject({ siamese: true, embedding_size: 3, classifier_dropout: 0, hidden_size: 6 });
  // Ten copies of each pair, but for those that came twice.
  const made = Number(/(\d+) texts were made of its 24/.exec(notes.join("\n"))?.[1]);
  expect(made).toBeGreaterThan(120);
  expect(made).toBeLessThanOrEqual(240);
  const frozen = model.weights.get("embeddings.frozen.weight")?.data;
  const row = (word: string) => {
    const id = model.tokenizer.vocabulary.get(word) as number;
    return [...(frozen?.subarray(3 * id, 3 * id + 3) ?? [])];
  };
  expect([row("the"), row("was")]).toEqual([
    [0.5, -1, 2],
    [1, 1, -0.25],
  ]);
  expect(model.weights.get("fc.weight")?.shape).toEqual([5, 8 * 6]);
  await expect(distill({ ...given, data: { tagColumn: "pos1" } }).result).rejects.toThrow("--pair-tag-column");
});
