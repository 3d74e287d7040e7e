// Masked-LM from text to folder: the head alone, the body too, a fresh model; DistilBERT's recipe from one line; what is refused, and when.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Examples } from "../../src/data/examples.ts";
import { maskingOf } from "../../src/data/masking.ts";
import { distill, finetune, type Model, plan, pretrain, type Run, type TrainingEvent } from "../../src/index.ts";
import { recipes } from "../../src/recipes/index.ts";
import { nodeFiles } from "../../src/runtimes/nodeFiles.ts";
import { forTasks, loadModel } from "../../src/train/model.ts";
import { TRAINING } from "../../src/train/options.ts";
import { makeMicroBatches } from "../../src/train/run.ts";
import { heldOut } from "../../src/train/text.ts";
import { makeTiny, type Tiny } from "../cli/tiny.ts";

let tiny: Tiny;
const path = (name: string) => join(tiny.folder, name);
const common = () => ({ batchSize: 8, threads: 1, loggingSteps: 1, maxSteps: 4, learningRate: 5e-3 });
const general = { ...recipes.distilbert, stages: { text: recipes.distilbert.stages.text } };
type Evaluation = Extract<TrainingEvent, { type: "evaluation" }>;

beforeAll(async () => {
  tiny = await makeTiny();
  await finetune({ ...common(), train: path("train.tsv"), model: path("base"), out: path("teacher") }).result;
  const text = { ...common(), model: path("base"), text: path("train.tsv"), trainBody: true, maxSteps: 20 };
  await pretrain({ ...text, out: path("mlm") }).result;
});
afterAll(() => tiny?.remove());

async function follow(run: Run) {
  const events: TrainingEvent[] = [];
  for await (const event of run) events.push(event);
  const perplexities = events
    .filter((event): event is Evaluation => event.type === "evaluation")
    .map(({ metrics }) => metrics.perplexity);
  return { ...(await run.result), events, perplexities };
}

const json = async (name: string) => JSON.parse(await readFile(path(name), "utf8"));

describe("pretrain", () => {
  const options = () => ({ ...common(), model: path("base"), text: path("train.tsv") });

  test("trains the head alone: the body's bytes stay, perplexity falls, the folder is a BertForMaskedLM", async () => {
    const { model, perplexities, judged, events } = await follow(pretrain({ ...options(), out: path("head") }));
    const base = await loadModel(nodeFiles(path("base")), { tasks: ["maskedLm"], freshMaskedLm: true, seed: 42 });
    const same = (name: string) => base.weights.get(name)?.data.every((x, i) => x === model.weights.get(name)?.data[i]);
    const [body, head] = [true, false].map((of) =>
      [...model.weights.keys()].filter((k) => k.startsWith("bert.") === of),
    );
    expect(body.map(same)).toEqual(body.map(() => true));
    expect(head.map(same)).toEqual(head.map(() => false));
    expect(head.sort()).toEqual([
      ...["cls.predictions.bias", "cls.predictions.transform.LayerNorm.bias"],
      "cls.predictions.transform.LayerNorm.weight",
      ...["cls.predictions.transform.dense.bias", "cls.predictions.transform.dense.weight"],
    ]);
    expect(perplexities.length).toBe(2);
    expect(perplexities[1]).toBeLessThan(perplexities[0] as number);
    expect(judged[0].metrics?.perplexity).toBe(perplexities[1]);
    expect(events.filter((event) => event.type === "step").map((event) => Object.keys(event.terms))).toEqual(
      Array(4).fill(["mlm"]),
    );

    expect((await json("head/config.json")).architectures).toEqual(["BertForMaskedLM"]);
    const record = await json("head/limbeck.json");
    expect(record).toMatchObject({ command: "pretrain", options: { trainBody: false }, recipe: { name: "mlm" } });
    expect(await readFile(path("head/README.md"), "utf8")).toMatch(/pipeline_tag: fill-mask\n.*\| perplexity \|/s);
    const again = await loadModel(nodeFiles(path("head")), { tasks: ["maskedLm"] });
    expect([...again.weights].sort()).toEqual([...model.weights].sort());
  });

  test("with the body: more is learnt; the same bytes on two threads, others with other masks", async () => {
    const sha = async (more: object) =>
      (await pretrain({ ...options(), trainBody: true, ...more, out: path("again"), overwrite: true }).result).sha256;
    const first = await sha({});
    expect(await sha({ threads: 2 })).toBe(first);
    expect(await sha({ seed: 43 })).not.toBe(first);
    expect(await sha({ mlmSmoothing: 0.7 })).not.toBe(first);
    expect(await sha({ trainBody: false })).not.toBe(first);
  });

  test("nothing is trained in no epochs, and the perplexity is told", async () => {
    const { metrics, steps } = await pretrain({ ...options(), model: path("mlm"), epochs: 0, maxSteps: 0 }).result;
    const { perplexities } = await follow(pretrain({ ...options(), model: path("mlm") }));
    expect([steps, metrics?.perplexity]).toEqual([0, perplexities[0]]);
    // 20 steps have learnt much of so small a language, beside as many tokens as there are.
    expect(metrics?.perplexity).toBeLessThan(tiny.config.vocab_size / 2);
  });

  test("a fresh model, with the tokenizer of a folder, on two files", async () => {
    const { model, notes } = await pretrain({
      ...{ ...options(), model: "distilbert:1x16x2", tokenizer: path("base"), evalText: path("dev.tsv") },
      ...{ text: [path("train.tsv"), path("dev.tsv")], out: path("fresh") },
    }).result;
    expect(model.config).toMatchObject({ model_type: "distilbert", dim: 16, vocab_size: tiny.config.vocab_size });
    expect((await json("fresh/config.json")).architectures).toEqual(["DistilBertForMaskedLM"]);
    expect(notes.some((note) => note.startsWith("fresh"))).toBe(false);
    const { data } = await json("fresh/limbeck.json");
    expect(new Set([data.train, data.evalText]).size).toBe(2);
  });

  test("long texts go in pieces, nothing is lost", async () => {
    const count = async (maxLength: number) => {
      const { events } = await follow(pretrain({ ...options(), maxLength, maxSteps: 1, evalText: path("dev.tsv") }));
      return events.find((event) => event.type === "start")?.rows ?? 0;
    };
    expect(await count(64)).toBe(64);
    expect(await count(6)).toBeGreaterThan(128);
  });
});

describe("distilbert", () => {
  const options = () => ({
    ...{ ...common(), train: path("train.tsv"), eval: path("dev.tsv"), text: path("train.tsv"), maxSteps: 3 },
    ...{ teacher: path("teacher"), textTeacher: path("mlm"), initFrom: path("mlm"), evalText: path("dev.tsv") },
    ...{
      recipe: "distilbert",
      student: "distilbert:layers:1",
      stages: { text: { epochs: 0, maxSteps: 3, batchSize: 8 } },
    },
  });

  test("from one line: text with masks, then the task; the folder is a classifier", async () => {
    const { events, model } = await follow(distill({ ...options(), out: path("student") }));
    const steps = events.filter((event) => event.type === "step");
    expect(steps.map(({ stage, terms }) => [stage, Object.keys(terms)])).toEqual([
      ...Array(3).fill(["text", ["soft", "mlm", "cosine"]]),
      ...Array(3).fill(["task", ["soft", "hard"]]),
    ]);
    expect(steps.every(({ loss }) => Number.isFinite(loss) && loss > 0)).toBe(true);
    const judged = events.filter((event): event is Evaluation => event.type === "evaluation");
    expect(judged.map(({ stage, metrics }) => [stage, Object.keys(metrics).includes("perplexity")])).toEqual([
      ["text", true],
      ["text", true],
      ["task", false],
    ]);
    expect((await json("student/config.json")).architectures).toEqual(["DistilBertForSequenceClassification"]);
    expect([...model.weights.keys()].filter((name) => !/^(distilbert|pre_classifier|classifier)\./.test(name))).toEqual(
      [],
    );
    expect((await json("student/limbeck.json")).stages.text).toMatchObject({ mlmSmoothing: 0.7, adamBeta2: 0.98 });
  });

  test("without a task: a masked-LM folder, no training rows; teacher and student are judged by perplexity", async () => {
    const { teacher: _, train, eval: __, textTeacher, ...rest } = options();
    const run = distill({
      ...rest,
      recipe: general,
      teacher: textTeacher,
      maxSteps: 10,
      stages: {},
      out: path("general"),
    });
    const { judged, perplexities, model } = await follow(run);
    expect(judged.map(({ role, metrics }) => [role, typeof metrics?.perplexity])).toEqual([
      ["teacher", "number"],
      ["student", "number"],
    ]);
    expect(perplexities[1]).toBeLessThan(perplexities[0] as number);
    expect((await json("general/config.json")).architectures).toEqual(["DistilBertForMaskedLM"]);
    const tasks = model.config.tasks;
    expect(tasks).toEqual(["maskedLm"]);
    await expect(distill({ ...options(), recipe: general }).result).rejects.toThrow(
      /^--train: every stage of this run is on plain text; rows of a task are not read/,
    );
  });

  test("probabilities at masked tokens alone; a student of another width; the same bytes on two threads", async () => {
    const run = async (more: object) =>
      (await distill({ ...options(), ...more, out: path("again"), overwrite: true }).result).sha256;
    const first = await run({});
    expect(await run({ threads: 2 })).toBe(first);
    expect(await run({ restrictCeToMask: true })).not.toBe(first);
    expect(await run({ student: "bert:1x16x2", initFrom: undefined })).toBeDefined();
  });

  test("a cache of what teachers say is of no use where the text is masked anew", async () => {
    const { events } = await follow(distill({ ...options(), maxSteps: 8, cache: path("cache") }));
    const notes = events.flatMap((event) => (event.type === "note" ? [event.text] : []));
    expect(notes.filter((text) => text.startsWith("teacher cache: not used"))).toEqual([
      "teacher cache: not used, since the text is masked anew in every epoch; the teacher runs in every step",
    ]);
    expect(notes.some((text) => /^teacher cache: logits of 64 rows .* go into/.test(text))).toBe(true);
  });

  test("plan counts both stages", async () => {
    const planned = await plan({ ...options(), device: "wasm" });
    expect(planned.steps).toBe(6);
    const { teacher: _, train, eval: __, textTeacher, ...rest } = options();
    const alone = await plan({ ...rest, recipe: general, teacher: textTeacher, device: "wasm", stages: {} });
    expect(alone.steps).toBe(3);
    expect(alone.models.every(({ flopsPerToken }) => flopsPerToken > 0)).toBe(true);
  });

  describe("refused before training", () => {
    const refused = async (run: Run, message: RegExp) => {
      const events: TrainingEvent[] = [];
      const taken = async () => {
        for await (const event of run) events.push(event);
      };
      await expect(taken()).rejects.toThrow(message);
      expect(events).toEqual([]);
    };

    test("an empty text, and one of unknown words", async () => {
      await writeFile(path("empty.txt"), "\n \n");
      await writeFile(path("strange.txt"), "猫\n");
      const empty = /empty\.txt: the file has no rows; at least one example is needed/;
      await refused(pretrain({ ...common(), model: path("mlm"), text: path("empty.txt") }), empty);
      await refused(distill({ ...options(), text: path("empty.txt") }), empty);
      const strange = { ...common(), model: path("mlm"), evalText: path("dev.tsv"), text: path("strange.txt") };
      await refused(pretrain(strange), /strange\.txt: the text has no token that could be masked/);
    });

    test("one text that is to be trained on and held out", async () => {
      await writeFile(path("one.txt"), "the soup was bland\n");
      await refused(
        pretrain({ ...common(), model: path("mlm"), text: path("one.txt") }),
        /one\.txt: one text cannot be trained on and held out; give more lines, or --eval-text/,
      );
    });

    test("a teacher without a masked-LM head", async () => {
      const message = /teacher has no masked-LM head; train one \(limbeck pretrain\).*--text-teacher/;
      await refused(distill({ ...options(), textTeacher: undefined }), message);
      await refused(distill({ ...options(), textTeacher: path("teacher") }), message);
      const inMemory = await loadModel(nodeFiles(path("teacher")));
      await refused(
        distill({ ...options(), textTeacher: inMemory as Model }),
        /a teacher of type bert has no masked-LM/,
      );
    });

    test("a teacher of another vocabulary: the terms that compare tokens are named [M8]", async () => {
      const other = await loadModel(nodeFiles(path("mlm")), { tasks: ["maskedLm"] });
      const files = new Map(
        [...other.tokenizer.files].map(([name, text]) => [name, text.replace(/\bsoup\b/g, "soap")]),
      );
      await refused(
        distill({ ...options(), textTeacher: { ...other, tokenizer: { ...other.tokenizer, files } } }),
        /its vocabulary differs from that of .*; "soft", "cosine" compare the models token by token/,
      );
    });

    test("a table of embeddings of another length", async () => {
      const other = await loadModel(nodeFiles(path("mlm")), { tasks: ["maskedLm"] });
      const config = { ...other.config, vocab_size: other.config.vocab_size + 3 };
      const weights = forTasks({ ...other, config, weights: new Map() }, ["maskedLm"], 1).weights;
      await refused(
        distill({ ...options(), textTeacher: { ...other, config, weights } }),
        /term "soft" compares probabilities of the same tokens: the teacher has \d+, the student \d+/,
      );
    });

    test("no text; a recipe that no model here can follow", async () => {
      const kd = { ...options(), recipe: "kd", stages: {} };
      await refused(distill(kd), /--eval-text: recipe "kd" has no stage on plain text to judge by it/);
      const chain = { ...options(), assistant: "bert:1x16x2" };
      await refused(distill(chain), /--assistant: recipe "distilbert" reads a masked-LM head, which an assistant/);
      await refused(distill({ ...options(), text: undefined }), /stage "text" of "distilbert" reads plain text/);
      await refused(
        distill({ ...options(), student: "bilstm", initFrom: undefined }),
        /a student of type bilstm has no/,
      );
      await refused(distill({ ...options(), train: undefined }), /--train: there is a stage that learns from rows/);
      const fresh = { ...common(), model: "bert:1x16x2", text: path("train.tsv") };
      await refused(pretrain(fresh), /--tokenizer: "bert:1x16x2" is a fresh model: name a folder with its tokenizer/);
      await refused(pretrain({ ...fresh, model: "layers:2" }), /--model: "layers:2" is cut out of a teacher/);
      await refused(
        pretrain({ ...fresh, model: "bilstm:4", tokenizer: path("base") }),
        /bilstm:4 has no masked-LM head/,
      );
    });
  });
});

test("weights of the parts of one update carry the means of the whole", async () => {
  const { tokenizer } = await loadModel(nodeFiles(path("mlm")), { tasks: ["maskedLm"] });
  const rows = ["the soup was bland", "good", "the waiter was anything but rude"].map((text) => tokenizer.encode(text));
  const set = { rows, masking: maskingOf(tokenizer, rows, 0, "t") };
  const parts = [Uint32Array.of(2, 0), Uint32Array.of(1)];
  const batches = makeMicroBatches(set, parts, { ...TRAINING, batchSize: 2 }, false, 0);
  const sum = (of: (batch: (typeof batches)[number]) => Float64Array) =>
    batches.flatMap((batch) => [...of(batch)]).reduce((a, b) => a + b, 0);
  expect(sum(({ eachWeight }) => eachWeight)).toBeCloseTo(1, 12);
  expect(sum(({ targetWeight }) => targetWeight)).toBeCloseTo(1, 12);
  const shapes = makeMicroBatches(set, parts, { ...TRAINING, batchSize: 2 }, false);
  expect(shapes.map(({ rows: N, masked }) => [N, masked])).toEqual(batches.map(({ rows: N, masked }) => [N, masked]));
  expect(shapes[0].targetWeight.every((weight) => weight === 0)).toBe(true);
});

test("the last twentieth is held out", () => {
  const examples = Examples.of(Array.from({ length: 41 }, (_, i) => ({ text: `t${i}` })));
  const dataset = { file: "t", examples, pair: false, kind: "classification" as const, label2id: undefined };
  const { text, evalText } = heldOut({ ...dataset, labelled: 0, notes: [], fingerprint: "" });
  expect([text.examples.length, evalText.examples.map(({ text }) => text)]).toEqual([38, ["t38", "t39", "t40"]]);
});
