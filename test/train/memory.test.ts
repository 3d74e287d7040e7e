// Models in memory: what finetune and distill ask of them, and that a run needs no folder.

import { describe, expect, test } from "vitest";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { labelMaps } from "../../src/formats/config.ts";
import { distill, finetune } from "../../src/index.ts";
import { freshWeights, type Model } from "../../src/train/model.ts";
import { tinyConfig } from "./tiny.ts";

const words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...Array.from({ length: 45 }, (_, i) => `w${i}`)];
const tokenizer = loadTokenizer(new Map([["vocab.txt", `${words.join("\n")}\n`]]));

const model = (layers: number, labels = ["no", "yes"]): Model => {
  const config = { ...tinyConfig(layers), ...labelMaps(labels) };
  return { name: `made ${layers}`, config, weights: freshWeights(config, layers), tokenizer, notes: [] };
};
const data = {
  name: "made.tsv",
  bytes: new TextEncoder().encode(
    `sentence\tlabel\n${Array.from({ length: 12 }, (_, i) => `w${i} w${(7 * i) % 45}\t${i % 2 ? "yes" : "no"}\n`).join("")}`,
  ),
};
const few = { maxSteps: 2, batchSize: 4, threads: 1, loggingSteps: 1 };

describe("models in memory", () => {
  test("finetune and distill return a model, and events come in their order", async () => {
    const run = finetune({ ...few, model: model(2), train: data, eval: data });
    const types: string[] = [];
    for await (const event of run) types.push(event.type);
    expect(types.filter((type) => type !== "note")).toEqual(["start", "step", "step", "evaluation"]);
    const { model: teacher, complete, sha256 } = await run.result;
    expect([complete, sha256]).toEqual([true, undefined]);
    const result = await distill({ ...few, teacher, student: "layers:1", train: data }).result;
    expect(result.model.config).toMatchObject({ num_hidden_layers: 1 });
    expect(result.model.weights.get("classifier.weight")?.data).not.toEqual(
      teacher.weights.get("classifier.weight")?.data,
    );
  });

  test("rows that are trained on and judged by are counted [D3]", async () => {
    const { notes } = await finetune({ ...few, model: model(2), train: data, eval: data }).result;
    expect(notes).toContain("warning: made.tsv: 12 of 12 rows are training rows, too");
    const other = { name: "other.tsv", bytes: new TextEncoder().encode("sentence\tlabel\nw1 w2\tno\nw44\tyes\n") };
    const clean = await finetune({ ...few, model: model(2), train: data, eval: other }).result;
    expect(clean.notes.join()).not.toContain("warning");
  });

  test("labels that are not those of the data or the teacher are refused before any step", async () => {
    await expect(finetune({ ...few, model: model(2, ["a", "b", "c"]), train: data }).result).rejects.toThrow(
      /made 2: this model has labels \[a,b,c\], the training data \[no,yes\]/,
    );
    const student = model(1, ["yes", "no"]);
    await expect(distill({ ...few, teacher: model(2), student, train: data }).result).rejects.toThrow(
      /made 1: this model has labels \[yes,no\], the teacher \[no,yes\]/,
    );
  });

  test("a recipe's option that it does not have, a map that does not fit, and an unknown recipe are refused", async () => {
    const run = (more: object) =>
      distill({ ...few, teacher: model(4), student: "layers:2", train: data, ...more }).result;
    await expect(run({ recipe: "kd", beta: 5 })).rejects.toThrow(/--beta: recipe "kd" has no beta/);
    await expect(run({ recipe: "pkd-last", layerMap: [9] })).rejects.toThrow(
      /\[9\] must name 1 teacher layers between 1 and 4/,
    );
    await expect(run({ recipe: "pdk" })).rejects.toThrow(/no recipe "pdk"; known: hard, kd, .*, or a file/);
    await expect(run({ recipe: "pkd-skip", student: "bert:2x16" })).rejects.toThrow(
      /the teacher has 24, the student 16/,
    );
    await expect(run({ student: "bert:2x15" })).rejects.toThrow(
      /2 heads do not divide a width of 15.*one of 1, 3, 5, 15/,
    );
    await expect(run({ student: "layers:0,7" })).rejects.toThrow(/layer 7 does not exist/);
  });
});
