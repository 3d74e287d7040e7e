// Stages: whose numbers they have, which are left out, and a run of several from the options to the folder.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { distill, finetune, plan, type TrainingEvent } from "../../src/index.ts";
import { recipes } from "../../src/recipes/index.ts";
import type { Recipe } from "../../src/recipes/recipe.ts";
import { layerByLayer, stagesOf } from "../../src/train/stages.ts";
import { makeTiny, type Tiny } from "../cli/tiny.ts";
import { tinyConfig } from "./tiny.ts";

/** Hidden states through a matrix on plain text, again on the task's rows, then soft labels. */
const recipe: Recipe = {
  name: "three",
  summary: "for tests",
  hyper: { temperature: { from: 4, to: 1, curve: "cosine" }, alpha: 0.5 },
  stages: {
    general: {
      data: "text",
      optional: true,
      terms: { hidden: { loss: "mse", of: "hidden", map: "uniform", project: "hidden" } },
      training: { maxSteps: 2, epochs: 0, learningRate: 1e-3, batchSize: 8 },
    },
    states: {
      terms: {
        hidden: { loss: "mse", of: "hidden", map: "uniform", project: "hidden" },
        embedding: { loss: "cosine", of: "embedding", project: "embedding" },
      },
      training: { epochs: 20, lrSchedulerType: "constant", warmupRatio: 0 },
    },
    task: { terms: recipes.kd.stages.task.terms },
  },
};

describe("numbers", () => {
  test("options belong to the last stage, the recipe's to the others, a stage's own stand over both", () => {
    const { stages, notes } = stagesOf(recipe, {
      ...{ epochs: 5, batchSize: 4, seed: 3, text: "t.txt" },
      stages: { states: { epochs: 8 }, task: { weightDecay: 0 } },
    });
    expect(notes).toEqual([]);
    expect(stages.map(({ name }) => name)).toEqual(["general", "states", "task"]);
    const [general, states, task] = stages.map(({ options }) => options);
    expect(general).toMatchObject({
      epochs: 0,
      maxSteps: 2,
      batchSize: 8,
      weightDecay: 0.01,
      lrSchedulerType: "linear",
    });
    expect(states).toMatchObject({ epochs: 8, batchSize: 32, lrSchedulerType: "constant", optimizer: "adamw" });
    expect(task).toMatchObject({ epochs: 5, batchSize: 4, weightDecay: 0, learningRate: 5e-5 });
    // Else two stages would see the same order and the same dropout masks.
    expect(new Set([general.seed, states.seed, task.seed, 3]).size).toBe(4);
    expect(stagesOf(recipes.kd, { seed: 3 }).stages[0].options.seed).toBe(3);
  });

  test("a stage is left out for want of text, or on demand", () => {
    const { stages, notes } = stagesOf(recipe, { stages: { states: { epochs: 0 } } });
    expect(stages.map(({ name }) => name)).toEqual(["task"]);
    expect(notes).toEqual([
      'stage "general" is left out: it reads plain text, and there is no --text',
      'stage "states" is left out: 0 epochs',
    ]);
    const { optional: _, ...general } = recipe.stages.general;
    const strict = { ...recipe, stages: { ...recipe.stages, general } };
    expect(() => stagesOf(strict, {})).toThrow(/stage "general" of "three" reads plain text: give --text FILE/);
  });

  test("layer by layer: a stage for each layer of the student, which share epochs and steps", () => {
    const { transfer } = recipes.mobilebert.stages;
    const layered = { ...recipe, stages: { transfer, task: recipe.stages.task } };
    const { stages } = stagesOf(layered, { text: "t.txt", stages: { transfer: { epochs: 6, maxSteps: 10 } } });
    const each = layerByLayer(stages, tinyConfig(4));
    expect(each.map(({ name, stage }) => [name, stage.layer])).toEqual([
      ...[1, 2, 3, 4].map((layer) => [`transfer-${layer}`, layer]),
      ["task", undefined],
    ]);
    for (const { options } of each.slice(0, 4))
      expect(options).toMatchObject({ epochs: 1.5, maxSteps: 3, optimizer: "lamb" });
    // Else every layer would see the same rows first.
    expect(new Set(each.map(({ options }) => options.seed)).size).toBe(5);
    expect(each[4]).toBe(stages[1]);
  });

  test.each([
    [
      { stages: { other: { epochs: 1 } } },
      /--stage: recipe "three" has no stage "other"; its stages: general, states, task/,
    ],
    [{ stages: { task: { epoch: 1 } } }, /--stage task: a stage has no option "epoch"; it has epochs, /],
    [{ stages: { task: { seed: 1 } } }, /a stage has no option "seed"/],
    [{ stages: { states: { batchSize: 0 } } }, /--stage states\.batchSize: 0 is not an integer from 1/],
  ])("%j is refused", (choice, message) => {
    expect(() => stagesOf(recipe, choice as Parameters<typeof stagesOf>[1])).toThrow(message);
  });
});

describe("a run of three stages", () => {
  let tiny: Tiny;
  const path = (name: string) => join(tiny.folder, name);
  const common = () => ({ train: path("train.tsv"), batchSize: 8, threads: 1, loggingSteps: 1 });
  const options = () => ({
    ...{
      ...common(),
      teacher: path("teacher"),
      student: "bert:2x24x2",
      eval: path("dev.tsv"),
      text: path("train.tsv"),
    },
    ...{ recipe, maxSteps: 3, stages: { states: { epochs: 0, maxSteps: 4, batchSize: 8, learningRate: 1e-3 } } },
  });
  beforeAll(async () => {
    tiny = await makeTiny();
    await finetune({ ...common(), model: path("base"), out: path("teacher"), maxSteps: 3 }).result;
  });
  afterAll(() => tiny?.remove());

  test("events, records, and a folder without the recipe's own matrices", async () => {
    const events: TrainingEvent[] = [];
    const run = distill({ ...options(), out: path("student") });
    for await (const event of run) events.push(event);
    const { steps, complete, model } = await run.result;
    expect([steps, complete]).toEqual([9, true]);
    const of = (type: string) => events.filter((event) => event.type === type) as { stage?: string; steps?: number }[];
    expect(of("start").map(({ stage, steps }) => [stage, steps])).toEqual([
      ["general", 2],
      ["states", 4],
      ["task", 3],
    ]);
    expect(of("step").map(({ stage }) => stage)).toEqual(
      [..."ggsssst tt".replace(/ /g, "")].map((c) => ({ g: "general", s: "states", t: "task" })[c]),
    );
    expect(of("evaluation").map(({ stage }) => stage)).toEqual(["task"]);
    const terms = (stage: string) =>
      Object.keys((of("step").find((event) => event.stage === stage) as { terms: object }).terms);
    expect([terms("states"), terms("task")]).toEqual([
      ["hidden", "embedding"],
      ["soft", "hard"],
    ]);

    const record = JSON.parse(await readFile(path("student/limbeck.json"), "utf8"));
    expect(record).toMatchObject({
      ...{ recipe, steps: { done: 9, planned: 9 }, options: { recipe: "three", maxSteps: 3 } },
      stages: { general: { maxSteps: 2 }, states: { maxSteps: 4, lrSchedulerType: "constant" }, task: { maxSteps: 3 } },
    });
    expect(record.data.text).toBe(record.data.train);
    const lines = (await readFile(path("student/metrics.jsonl"), "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.filter(({ stage }) => stage === "states").length).toBe(5);
    expect(await readFile(path("student/README.md"), "utf8")).toMatch(/## Stages\n\n- general: \{/);
    expect([...model.weights.keys()].filter((name) => !/^(bert|classifier)\./.test(name))).toEqual([]);
  });

  test("the same bytes again, and others where a matrix began otherwise", async () => {
    const sha = async (more: object) =>
      (await distill({ ...options(), ...more, out: path("again"), overwrite: true }).result).sha256;
    const first = await sha({});
    expect(await sha({})).toBe(first);
    expect(await sha({ threads: 2 })).toBe(first);
    expect(await sha({ seed: 43 })).not.toBe(first);
  });

  test("parameters that a stage does not train are left as they were, weight decay included", async () => {
    const { stages } = recipe;
    const states = { ...recipe, stages: { states: stages.states } };
    const before = (
      await distill({
        ...options(),
        stages: { states: { epochs: 0, maxSteps: 0 } },
        maxSteps: 0,
        epochs: 0,
        recipe: states,
      }).result
    ).model.weights;
    const after = (await distill({ ...options(), recipe: states, weightDecay: 0.5, learningRate: 1e-2 }).result).model
      .weights;
    const same = (name: string) => before.get(name)?.data.every((x, i) => x === after.get(name)?.data[i]);
    expect(["classifier.weight", "bert.pooler.dense.weight"].map(same)).toEqual([true, true]);
    expect(same("bert.encoder.layer.1.output.dense.weight")).toBe(false);
  });

  test.each([
    ["tinybert", ["general", "intermediate", "prediction"]],
    ["minilm", ["relations", "task"]],
    ["minilm-v2", ["relations", "task"]],
  ])("%s runs from one line, with plain text", async (name, names) => {
    const own = Object.fromEntries(names.slice(0, -1).map((stage) => [stage, { epochs: 0, maxSteps: 2 }]));
    const heads = name === "minilm-v2" ? { relationHeads: 4 } : {};
    const run = distill({ ...options(), ...heads, recipe: name, stages: own });
    const losses = new Map<string, number[]>();
    for await (const event of run)
      if (event.type === "step")
        losses.set(event.stage as string, [...(losses.get(event.stage as string) ?? []), event.loss]);
    expect([...losses.keys()]).toEqual(names);
    expect([...losses.values()].flat().every((loss) => Number.isFinite(loss) && loss > 0)).toBe(true);
  });

  test("plain text may have a teacher of its own, which needs no classifier", async () => {
    const events: TrainingEvent[] = [];
    const run = distill({ ...options(), textTeacher: path("base"), out: path("general"), overwrite: true });
    for await (const event of run) events.push(event);
    const first = (stage: string) => events.find((event) => event.type === "step" && event.stage === stage);
    const record = JSON.parse(await readFile(path("general/limbeck.json"), "utf8"));
    expect(record.options.textTeacher).toBe(path("base"));
    const other = JSON.parse((await readFile(path("student/metrics.jsonl"), "utf8")).split("\n")[1]);
    expect(other.stage).toBe("general");
    // The tuned teacher's states are not those of the base.
    expect(first("general")).not.toMatchObject({ loss: other.loss });
    const planned = await plan({ ...options(), textTeacher: path("base"), device: "reference" });
    expect(planned.memory.teachers).toBeGreaterThan(0);
  });

  test("plan counts all of them", async () => {
    const planned = await plan({ ...options(), device: "reference" });
    expect(planned.steps).toBe(9);
    // 9 steps of 8 texts, each of [CLS], a word and [SEP] at least.
    expect(planned.tokens).toBeGreaterThan(9 * 8 * 3);
    expect(planned.estimatedSeconds).toBeGreaterThan(0);
  });

  test.each<[string, object, RegExp]>([
    [
      "widths that differ without a matrix",
      {
        recipe: { ...recipe, stages: { task: { terms: { h: { loss: "mse", of: "hidden", map: "uniform" } } } } },
        stages: undefined,
      },
      /term "h" compares hidden of equal width: the teacher has 32, the student 24/,
    ],
    [
      "heads that differ",
      {
        student: "bert:2x24x4",
        recipe: { ...recipe, stages: { task: { terms: { a: { loss: "mse", of: "scores", map: "uniform" } } } } },
        stages: undefined,
      },
      /term "a" compares attention head by head: the teacher has 2 heads, the student 4/,
    ],
    [
      "relation heads that do not divide",
      {
        recipe: { ...recipe, stages: { task: { terms: { v: { loss: "kl", of: "values", map: "final", heads: 5 } } } } },
        stages: undefined,
      },
      /cuts vectors into 5 heads, which do not divide the student's width of 24; set "heads" to one of 1, 2, 4, 8/,
    ],
    [
      "a layer that a map leaves out",
      {
        recipe: {
          ...recipe,
          stages: { task: { layer: "each", terms: { h: { loss: "mse", of: "cls", map: "skip", project: "h" } } } },
        },
        stages: undefined,
      },
      /term "h" compares nothing in layer 2 of the student: map "skip" matches its layers 1\./,
    ],
    [
      "a feature that a family lacks",
      {
        student: "distilbert:1x24x2",
        recipe: { ...recipe, stages: { task: { terms: { p: { loss: "mse", of: "pooled", project: "p" } } } } },
        stages: undefined,
      },
      /a student of type distilbert has no pooled/,
    ],
    [
      "an ensemble where one teacher is needed",
      { teacher: "both" },
      /term "hidden" needs exactly one teacher, 2 were given/,
    ],
  ])("%s: one error before training", async (_, more, message) => {
    const given = { ...options(), ...more } as Parameters<typeof distill>[0];
    const teacher = given.teacher === "both" ? [path("teacher"), path("teacher")] : given.teacher;
    const events: TrainingEvent[] = [];
    const run = async () => {
      for await (const event of distill({ ...given, teacher })) events.push(event);
    };
    await expect(run()).rejects.toThrow(message);
    expect(events).toEqual([]);
  });
});
