// Recipes as files: presets survive the way there and back, and every fault has its place and what was expected.

import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { withChoices } from "../../src/recipes/choices.ts";
import { parseRecipe, serializeRecipe } from "../../src/recipes/file.ts";
import { recipeNamed, recipes } from "../../src/recipes/index.ts";

test.each(Object.keys(recipes))("%s prints as a file that reads back as it was", (name) => {
  const text = serializeRecipe(recipes[name]);
  expect(parseRecipe(text, "r.json")).toEqual(recipes[name]);
  expect(serializeRecipe(parseRecipe(text, "r.json"))).toBe(text);
});

const BASE = {
  name: "mine",
  summary: "for tests",
  hyper: { temperature: 2, alpha: 0.5 },
  stages: {
    states: { data: "text", terms: { hidden: { loss: "mse", of: "hidden", map: "uniform", project: "hidden" } } },
    task: { terms: { soft: { loss: "kl", of: "logits", temperature: "temperature", weight: "alpha" } } },
  },
};

/** BASE with one value at a path put in, or taken out. */
function changed(path: string, value: unknown): string {
  const copy = structuredClone(BASE) as Record<string, unknown>;
  const keys = path.split(".");
  const holder = keys.slice(0, -1).reduce((at, key) => at[key] as Record<string, unknown>, copy);
  holder[keys[keys.length - 1]] = value;
  return JSON.stringify(copy);
}

const TERM = "stages.task.terms.soft";
const HIDDEN = "stages.states.terms.hidden";

describe("refused", () => {
  test.each<[string, unknown, string]>([
    ["name", undefined, "name: missing; a recipe needs it"],
    [
      "nmae",
      "x",
      "nmae: a recipe has no such key; it has name, summary, source, hyper, assistants, augmentation, stages",
    ],
    ["stages", {}, "stages: at least one of the stages is needed"],
    ["stages.1st", BASE.stages.task, "stages.1st: expected a name of letters"],
    ["stages.task", 3, "stages.task: expected an object: a stage, found 3"],
    ["stages.task.terms", {}, "stages.task.terms: at least one of the terms is needed"],
    ["stages.task.data", "task", 'stages.task.data: expected one of "text", found "task"'],
    ["stages.task.optional", true, 'stages.task.optional: only a stage with "data": "text" may be left out'],
    ["stages.task.layer", 0, 'stages.task.layer: expected a layer, counted from 1, or "each", found 0'],
    ["stages.task.training", { epoch: 3 }, "stages.task.training.epoch: training has no such key; it has epochs"],
    ["stages.task.training", { batchSize: 0 }, "batchSize: expected an integer of at least 1, found 0"],
    ["stages.task.training", { optimizer: "sgd" }, 'optimizer: expected one of "adamw"'],
    [
      "stages.task.training",
      { lrSchedulerType: "poly" },
      'lrSchedulerType: expected one of "linear", "cosine", "constant"',
    ],
    [
      "hyper.temperature",
      0,
      "hyper.temperature: expected a number from 0.001 to 1000000, or {from, to, curve}, found 0",
    ],
    [
      "hyper.alpha",
      { from: 0, to: 2, curve: "linear" },
      "hyper.alpha: expected a number from 0 to 1, or {from, to, curve}",
    ],
    [
      "augmentation",
      { pMask: 0.8, pPos: 0.3, pNg: 0, nIter: 1, pairNIter: 1 },
      "augmentation: pMask and pPos exclude each other",
    ],
    ["augmentation", { pReplace: 0.4, candidates: 15, nIter: 20 }, "augmentation.pairNIter: missing"],
    ["augmentation", { candidates: 0, pReplace: 2 }, "augmentation.pReplace: expected a number from 0 to 1, found 2"],
    [
      "augmentation",
      { pReplace: 0.4, pMask: 0.1 },
      "augmentation.pMask: augmentation by a masked-LM has no such key; it has pReplace, candidates, nIter, pairNIter",
    ],
    ["hyper.gamma", 1, "hyper.gamma: hyper has no such key"],
    [`${TERM}.loss`, "l2", `${TERM}.loss: expected one of "labels", "kl", "crossEntropy", "mse", "cosine", found "l2"`],
    [`${TERM}.of`, "logit", `${TERM}.of: expected one of "embedding", "hidden"`],
    [`${TERM}.of`, undefined, `${TERM}.of: missing; which feature is compared?`],
    [`${TERM}.of`, "pooled", `${TERM}.loss: "kl" compares logits, scores, queries, keys or values, not pooled`],
    [
      `${TERM}.weight`,
      "gamma",
      `${TERM}.weight: expected a number of at least 0, or one of "alpha", "1 - alpha", "beta"`,
    ],
    [`${TERM}.weight`, -1, `${TERM}.weight: expected a number of at least 0`],
    [`${TERM}.weight`, "beta", `${TERM}.weight: "hyper" has no beta`],
    [`${TERM}.map`, "uniform", `${TERM}.map: belongs to features that each layer has`],
    [`${TERM}.normalize`, true, `${TERM}.normalize: belongs to mse of vectors`],
    [`${TERM}.heads`, 4, `${TERM}.heads: belongs to kl or crossEntropy of queries, keys or values`],
    [`${TERM}.project`, "w", `${TERM}.project: belongs to mse or cosine of vectors`],
    [`${TERM}.loss`, "labels", `${TERM}.of: does not belong to "labels"`],
    [`${HIDDEN}.map`, undefined, `${HIDDEN}.map: missing; hidden are of each layer: one of uniform, top, bottom`],
    [`${HIDDEN}.map`, "every", `${HIDDEN}.map: expected one of "uniform"`],
    [`${HIDDEN}.teacherLayers`, [0], `${HIDDEN}.teacherLayers: expected a list of layers, counted from 1`],
    [`${HIDDEN}.temperature`, 2, `${HIDDEN}.temperature: belongs to kl or crossEntropy of logits`],
    [`${HIDDEN}.project`, "1", `${HIDDEN}.project: expected a name of letters`],
    [HIDDEN, { loss: "labels" }, `${HIDDEN}.loss: plain text has no labels`],
    [HIDDEN, { loss: "labels", of: "logits" }, `${HIDDEN}.of: does not belong to "labels"`],
    [HIDDEN, { loss: "mse", of: "vocabulary" }, `${HIDDEN}.loss: expected "kl" of vocabulary, or "labels" of masked`],
    [HIDDEN, { loss: "kl", of: "masked", map: "uniform" }, `${HIDDEN}.map: belongs to features that each layer has`],
    [TERM, { loss: "kl", of: "masked" }, `${TERM}.of: masked belongs to a stage with "data": "text"`],
    [`${TERM}.mean`, "tokens", `${TERM}.mean: belongs to mse or cosine of the vectors of tokens`],
    [`${HIDDEN}.mean`, "rows", `${HIDDEN}.mean: expected one of "sequences", "tokens", found "rows"`],
    ["stages.states.training", { mlmSmoothing: -1 }, "mlmSmoothing: expected a number from 0 to 10, found -1"],
  ])("%s = %j", (path, value, message) => {
    const refused = () => parseRecipe(changed(path, value), "r.json");
    expect(refused).toThrow(InputError);
    expect(refused).toThrow(message);
    expect(refused).toThrow(/^r\.json: /);
  });

  test("all faults in one error; text that is no object", () => {
    const both = changed("summary", 3).replace('"kl"', '"l2"');
    expect(() => parseRecipe(both, "r.json")).toThrow(/summary: .*; stages\.task\.terms\.soft\.loss: /);
    expect(() => parseRecipe("[]", "r.json")).toThrow("r.json: expected a JSON object.");
    expect(() => recipeNamed("tony")).toThrow(/there is no recipe "tony"; known: hard, kd, .*, or a file NAME\.json/);
  });
});

describe("what may be changed without writing a recipe", () => {
  test("numbers, layers, normalisation", () => {
    const chosen = withChoices(recipes["pkd-skip"], {
      ...{ temperature: { from: 8, to: 1, curve: "linear" }, beta: 10, layerMap: [3, 5], normalizePatience: false },
    });
    expect(chosen.hyper).toEqual({ temperature: { from: 8, to: 1, curve: "linear" }, alpha: 0.7, beta: 10 });
    const { normalize: _, ...patience } = recipes["pkd-skip"].stages.task.terms.patience;
    expect(chosen.stages.task.terms.patience).toEqual({ ...patience, teacherLayers: [3, 5] });
    expect(withChoices(recipes.kd, {})).toBe(recipes.kd);
  });

  test.each([
    ["beta", { beta: 1 }, "--beta"],
    ["layer map", { layerMap: [1] }, "--layer-map"],
    ["normalised states", { normalizePatience: false }, "--no-normalize"],
    ["relations", { relationHeads: 4 }, "--relation-heads"],
    ["probabilities of all tokens", { restrictCeToMask: true }, "--restrict-ce-to-mask"],
  ])("kd has no %s", (what, choices, where) => {
    expect(() => withChoices(recipes.kd, choices)).toThrow(`${where}: recipe "kd" has no ${what}.`);
  });
});
