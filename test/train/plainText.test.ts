// Stages on plain text judged by held-out text: those without masks by their own loss, before the first step and after the last. Runs of such
// stages alone: no rows of a task, and a student that has no head it was not trained for.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { distill, finetune, plan, type Run, type TrainingEvent } from "../../src/index.ts";
import { recipes } from "../../src/recipes/index.ts";
import { node } from "../../src/runtimes/node.ts";
import { distillSetup } from "../../src/train/distill.ts";
import { makeTiny, type Tiny } from "../cli/tiny.ts";

let tiny: Tiny;
const path = (name: string) => join(tiny.folder, name);
type Evaluation = Extract<TrainingEvent, { type: "evaluation" }>;

beforeAll(async () => {
  tiny = await makeTiny();
  const own = { batchSize: 8, threads: 1, maxSteps: 1, model: path("base"), train: path("train.tsv") };
  await finetune({ ...own, out: path("teacher") }).result;
});
afterAll(() => tiny?.remove());

async function follow(run: Run) {
  const events: TrainingEvent[] = [];
  for await (const event of run) events.push(event);
  return {
    judged: events.filter((event): event is Evaluation => event.type === "evaluation"),
    losses: events.flatMap((event) => (event.type === "step" ? [event.loss] : [])),
  };
}

/** All 64 rows in one step, so that its loss is that of the rows. */
const common = () => ({
  ...{ teacher: path("teacher"), student: "bert:2x16x2", train: path("train.tsv"), text: path("train.tsv") },
  ...{ evalText: path("train.tsv"), batchSize: 64, threads: 1, loggingSteps: 1, maxSteps: 3 },
});

test.each(["tinybert", "minilm", "minilm-v2"])(
  "%s: before a step what the step then says, without dropout",
  async (name) => {
    const [[stage, { terms }]] = Object.entries(recipes[name].stages);
    const recipe = { ...recipes[name], stages: { [stage]: { data: "text" as const, terms } } };
    const heads = name === "minilm-v2" ? { relationHeads: 2 } : {};
    const options = { ...common(), ...heads, recipe, learningRate: 1e-3 };
    const { student } = await distillSetup(node, options);
    const still = { ...student.config, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 };
    const whole = await follow(distill({ ...options, student: { ...student, config: still } }));
    expect(whole.judged.map(({ step, metrics }) => [step, Object.keys(metrics), metrics.count])).toEqual(
      [0, 1, 2, 3].map((step) => [step, ["count", "loss"], 64]),
    );
    const judged = whole.judged.map(({ metrics }) => metrics.loss as number);
    for (const [i, loss] of whole.losses.entries()) expect(Math.abs(judged[i] / loss - 1)).toBeLessThan(1e-6);
    expect(judged[3]).toBeLessThan(judged[2]);
    const dropped = await follow(distill({ ...options, student, maxSteps: 1 }));
    expect(dropped.judged[0].metrics.loss).toBe(judged[0]);
    expect(Math.abs(dropped.losses[0] / judged[0] - 1)).toBeGreaterThan(1e-6);
  },
);

const general = (name: string, kept = Object.keys(recipes[name].stages)[0]) => ({
  ...recipes[name],
  stages: { [kept]: { ...recipes[name].stages[kept], data: "text" as const } },
});
const configOf = async (name: string) => JSON.parse(await readFile(join(path(name), "config.json"), "utf8"));

test.each(["tinybert", "minilm", "assistant"])(
  "%s without its task: a body, which any task goes on with",
  async (name) => {
    const out = `general-${name}`;
    const student = name === "assistant" ? "bert:1x8x2" : "bert:2x16x2";
    const options = {
      ...common(),
      train: undefined,
      teacher: path("base"),
      student,
      recipe: general(name),
      out: path(out),
    };
    const result = await distill(options).result;
    expect(result.model.weights.has("bert.embeddings.word_embeddings.weight")).toBe(true);
    expect([...result.model.weights.keys()].filter((path) => /pooler|classifier/.test(path))).toEqual([]);
    expect((await configOf(out)).architectures).toEqual(["BertModel"]);
    expect(await readFile(join(path(out), "README.md"), "utf8")).toContain("pipeline_tag: feature-extraction");
    expect(await readFile(join(path(out), "README.md"), "utf8")).toMatch(/\| student \|.*\| \d\.\d{4} \|/);
    expect((await plan({ ...options, out: undefined })).steps).toBe(3);
    const again = await distill({ ...options, resume: true }).result;
    expect(again.sha256).toBe(result.sha256);
    const task = { ...common(), text: undefined, evalText: undefined, maxSteps: 1, student: path(out), recipe: "kd" };
    const tuned = await distill(task).result;
    expect(tuned.notes.join()).toContain(`fresh bert.pooler.dense.weight, bert.pooler.dense.bias, classifier.weight`);
  },
);

test("logits on plain text: the classifier stays, its labels are the teacher's", async () => {
  const { hard, ...terms } = recipes.kd.stages.task.terms;
  const recipe = { ...recipes.kd, stages: { text: { data: "text" as const, terms } } };
  const { model } = await distill({ ...common(), train: undefined, recipe }).result;
  expect(model.config.id2label).toEqual((await configOf("teacher")).id2label);
  expect(model.weights.has("classifier.weight")).toBe(true);
});

test("what belongs to rows of a task is refused", async () => {
  const options = { ...common(), train: undefined, recipe: general("minilm"), eval: path("dev.tsv") };
  await expect(distill(options).result).rejects.toMatchObject({ code: "NO_TASK_STAGE" });
});

test("each layer of mobilebert by its own; then the task by the data", async () => {
  await finetune({ ...common(), model: path("base"), maxSteps: 1, out: path("own") }).result;
  const ib = { ...common(), text: undefined, evalText: undefined, teacher: path("own"), student: "ibbert:2x24x40" };
  await distill({ ...ib, recipe: "kd", maxSteps: 1, out: path("ib") }).result;
  const stages = { transfer: { epochs: 0, maxSteps: 4, learningRate: 3e-2 }, masked: { epochs: 0 } };
  const own = { teacher: path("ib"), student: "mobilebert:2x24x8", recipe: "mobilebert", stages, maxSteps: 1 };
  const { judged } = await follow(distill({ ...common(), ...own, eval: path("dev.tsv") }));
  expect(judged.map(({ stage, step, metrics }) => [stage, step, "accuracy" in metrics])).toEqual([
    ...[1, 2].flatMap((layer) => [0, 2].map((step) => [`transfer-${layer}`, step, false])),
    ["task", 1, true],
  ]);
  for (const i of [0, 2]) expect(judged[i + 1].metrics.loss).toBeLessThan(judged[i].metrics.loss as number);
});
