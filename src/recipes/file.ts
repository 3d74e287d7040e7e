// A recipe as JSON: what `limbeck recipes NAME` prints and `--recipe FILE.json` reads. All faults come in one error, each with its place.

import * as v from "valibot";
import { InputError } from "../errors.ts";
import { quote } from "../formats/files.ts";
import { isObject, parseJson } from "../formats/json.ts";
import { FEATURES, type FeatureName } from "../models/features.ts";
import { optimizers } from "../optim/index.ts";
import { CURVES, LR_SCHEDULERS } from "../optim/schedule.ts";
import { isRelation } from "./choices.ts";
import { LAYER_MAPS } from "./maps.ts";
import { type Loss, type Recipe, type Stage, substitutes, type Term, WEIGHTS } from "./recipe.ts";
import { overVocabulary } from "./vocabulary.ts";

const wrong = (expected: string) => (issue: { input: unknown }) =>
  issue.input === undefined ? `missing; expected ${expected}` : `expected ${expected}, found ${quote(issue.input)}`;
const rule = <T>(expected: string, holds: (x: unknown) => boolean) => v.custom<T>(holds, wrong(expected));
const number = (least: number, most: number) =>
  rule<number>(
    `a number from ${least} to ${most}`,
    (x) => typeof x === "number" && Number.isFinite(x) && x >= least && x <= most,
  );
const integer = (least: number) =>
  rule<number>(`an integer of at least ${least}`, (x) => Number.isSafeInteger(x) && (x as number) >= least);
const oneOf = <T extends string>(values: readonly T[]) =>
  rule<T>(`one of ${values.map((value) => JSON.stringify(value)).join(", ")}`, (x) => values.includes(x as T));
const text = rule<string>("a text", (x) => typeof x === "string" && x !== "");
/** Integers as keys would be put in front, whatever their place. */
const name = rule<string>(
  "a name of letters, digits, - and _ that begins with a letter",
  (x) => typeof x === "string" && /^[a-zA-Z][\w-]*$/.test(x),
);

function object<const E extends v.ObjectEntries>(what: string, entries: E) {
  const known = Object.keys(entries).join(", ");
  return v.strictObject(entries, (issue) => {
    if (issue.expected === "never") return `${what} has no such key; it has ${known}`;
    return issue.input === undefined ? `missing; ${what} needs it` : wrong(`an object: ${what}`)(issue);
  });
}

const varying = (least: number, most: number) =>
  v.union(
    [
      number(least, most),
      object("a number that changes", { from: number(least, most), to: number(least, most), curve: oneOf(CURVES) }),
    ],
    wrong(`a number from ${least} to ${most}, or {from, to, curve}`),
  );

const LOSSES: readonly Loss[] = ["labels", "kl", "crossEntropy", "mse", "cosine"];

const TERM = object("a term", {
  loss: oneOf(LOSSES),
  of: v.optional(oneOf<FeatureName>(FEATURES)),
  weight: v.optional(
    rule<Term["weight"]>(
      `a number of at least 0, or one of ${WEIGHTS.map((w) => JSON.stringify(w)).join(", ")}`,
      (x) => WEIGHTS.includes(x as (typeof WEIGHTS)[number]) || (typeof x === "number" && x >= 0 && x < 1e12),
    ),
  ),
  temperature: v.optional(
    rule<Term["temperature"]>(
      'a number above 0, or "temperature"',
      (x) => x === "temperature" || (typeof x === "number" && x > 0 && x < 1e6),
    ),
  ),
  map: v.optional(oneOf(LAYER_MAPS)),
  teacherLayers: v.optional(
    rule<number[]>(
      "a list of layers, counted from 1",
      (x) => Array.isArray(x) && x.every((layer) => Number.isSafeInteger(layer) && layer >= 1),
    ),
  ),
  reduction: v.optional(oneOf(["sum", "mean"])),
  mean: v.optional(oneOf(["sequences", "tokens"])),
  normalize: v.optional(rule<boolean>("true or false", (x) => typeof x === "boolean")),
  heads: v.optional(integer(1)),
  project: v.optional(name),
});

const TRAINING = object("training", {
  epochs: v.optional(number(0, 1e6)),
  maxSteps: v.optional(integer(0)),
  batchSize: v.optional(integer(1)),
  gradientAccumulationSteps: v.optional(integer(1)),
  learningRate: v.optional(number(0, 1e9)),
  lrSchedulerType: v.optional(oneOf(LR_SCHEDULERS)),
  warmupRatio: v.optional(number(0, 1)),
  optimizer: v.optional(oneOf(Object.keys(optimizers))),
  weightDecay: v.optional(number(0, 1e3)),
  maxGradNorm: v.optional(number(0, 1e9)),
  adamBeta1: v.optional(number(0, 1)),
  adamBeta2: v.optional(number(0, 1)),
  adamEpsilon: v.optional(number(0, 1)),
  mlmSmoothing: v.optional(number(0, 10)),
});

const some = (what: string) => (x: object) => Object.keys(x).length > 0 || what;
/** valibot's record passes over these keys, whatever they hold. */
const RESERVED = ["__proto__", "prototype", "constructor"];
const record = <S extends v.GenericSchema>(what: string, value: S) =>
  v.pipe(
    v.unknown(),
    v.check(
      (x) => !isObject(x) || !RESERVED.some((key) => key in x),
      `none of the ${what} may be called ${RESERVED.join(", ")}`,
    ),
    v.record(name, value, wrong(`an object of ${what}`)),
    v.check((x) => some(what)(x) === true, `at least one of the ${what} is needed`),
  );

const COPIES = { nIter: integer(0), pairNIter: integer(0) };
const WORDS = object("augmentation", { pMask: number(0, 1), pPos: number(0, 1), pNg: number(0, 1), ...COPIES });
const SUBSTITUTION = object("augmentation by a masked-LM", {
  ...{ pReplace: number(0, 1), candidates: integer(1) },
  ...COPIES,
});

const RECIPE = object("a recipe", {
  name: text,
  summary: text,
  source: v.optional(text),
  hyper: v.optional(
    object("hyper", {
      temperature: v.optional(varying(1e-3, 1e6)),
      alpha: v.optional(varying(0, 1)),
      beta: v.optional(varying(0, 1e9)),
    }),
  ),
  assistants: v.optional(
    rule<string[]>(
      'a list of students such as "auto" or "bert:6x384"',
      (x) => Array.isArray(x) && x.every((spec) => typeof spec === "string" && spec !== ""),
    ),
  ),
  augmentation: v.optional(
    v.lazy((given) => (isObject(given) && ("pReplace" in given || "candidates" in given) ? SUBSTITUTION : WORDS)),
  ),
  stages: record(
    "stages",
    object("a stage", {
      data: v.optional(oneOf(["text"])),
      optional: v.optional(rule<boolean>("true or false", (x) => typeof x === "boolean")),
      frozen: v.optional(rule<boolean>("true or false", (x) => typeof x === "boolean")),
      layer: v.optional(
        rule<Stage["layer"]>(
          'a layer, counted from 1, or "each"',
          (x) => x === "each" || (Number.isSafeInteger(x) && (x as number) >= 1),
        ),
      ),
      terms: record("terms", TERM),
      training: v.optional(TRAINING),
    }),
  ),
});

/** Faults that a message names: each says what was expected, which is longer than what was written. */
const SHOWN = 20;

/** `where` is the file, for messages. */
export function parseRecipe(json: string, where: string): Recipe {
  const refuse = (faults: readonly string[]): never => {
    const more = faults.length > SHOWN ? `; and ${faults.length - SHOWN} more` : "";
    throw new InputError("INVALID_RECIPE", `${faults.slice(0, SHOWN).join("; ")}${more}.`, { where });
  };
  const given = parseJson(json, { where });
  if (!isObject(given)) refuse(["expected a JSON object"]);
  const parsed = v.safeParse(RECIPE, given);
  if (!parsed.success)
    return refuse(parsed.issues.map((issue) => `${v.getDotPath(issue) ?? "recipe"}: ${issue.message}`));
  // As it was written: valibot would put the keys in its own order.
  const recipe = given as unknown as Recipe;
  const { augmentation } = recipe;
  if (augmentation && !substitutes(augmentation) && augmentation.pMask + augmentation.pPos > 1)
    refuse(["augmentation: pMask and pPos exclude each other, so they are at most 1 together"]);
  const faults = Object.entries(recipe.stages).flatMap(([stage, { terms, data, optional }]) => [
    ...(optional && data !== "text"
      ? [`stages.${stage}.optional: only a stage with "data": "text" may be left out`]
      : []),
    ...Object.entries(terms).flatMap(([term, of]) =>
      termFaults(of, recipe, data).map(([key, fault]) => `stages.${stage}.terms.${term}.${key}: ${fault}`),
    ),
  ]);
  return faults.length > 0 ? refuse(faults) : recipe;
}

const LISTS = new Set<FeatureName>(["hidden", "cls", "scores", "queries", "keys", "values"]);

/** What a term cannot mean: [key, why]. */
function termFaults(term: Term, { hyper }: Recipe, data: "text" | undefined): [keyof Term, string][] {
  const { loss, of, weight, temperature } = term;
  const soft = loss === "kl" || loss === "crossEntropy";
  const tokens = overVocabulary(term);
  const vectors = of !== undefined && of !== "scores" && of !== "logits" && !tokens;
  const faults: [keyof Term, string][] = [];
  const needs = (key: keyof Term, applies: boolean, when: string) => {
    if (term[key] !== undefined && !applies) faults.push([key, `belongs to ${when}`]);
  };
  if (loss === "labels") {
    if (data === "text" && !tokens) faults.push(["loss", 'plain text has no labels but those of "masked"']);
    for (const key of Object.keys(term) as (keyof Term)[])
      if (key !== "loss" && key !== "weight" && !(key === "of" && of === "masked"))
        faults.push([key, 'does not belong to "labels"']);
  } else if (of === undefined) faults.push(["of", "missing; which feature is compared?"]);
  else {
    if (tokens && loss !== "kl") faults.push(["loss", `expected "kl" of ${of}, or "labels" of masked`]);
    if (soft && !tokens && !["logits", "scores", "queries", "keys", "values"].includes(of))
      faults.push([
        "loss",
        `"${loss}" compares logits, scores, queries, keys or values, not ${of}; use "mse" or "cosine"`,
      ]);
    if (loss === "cosine" && !vectors) faults.push(["loss", `"cosine" compares vectors, not ${of}`]);
    if (LISTS.has(of) && term.map === undefined)
      faults.push(["map", `missing; ${of} are of each layer: one of ${LAYER_MAPS.join(", ")}`]);
    for (const key of ["map", "teacherLayers", "reduction"] as const)
      needs(key, LISTS.has(of), "features that each layer has");
    needs(
      "temperature",
      soft && (of === "logits" || tokens),
      "kl or crossEntropy of logits, or kl over the vocabulary",
    );
    needs("mean", !soft && vectors && of !== "cls" && of !== "pooled", "mse or cosine of the vectors of tokens");
    needs("normalize", loss === "mse" && vectors, "mse of vectors");
    needs("heads", isRelation(term), "kl or crossEntropy of queries, keys or values");
    needs("project", !soft && vectors, "mse or cosine of vectors");
  }
  if (tokens && data !== "text") faults.push(["of", `${of} belongs to a stage with "data": "text"`]);
  const named = weight === "1 - alpha" ? "alpha" : typeof weight === "string" ? weight : undefined;
  if (named && hyper?.[named] === undefined) faults.push(["weight", `"hyper" has no ${named}`]);
  if (temperature === "temperature" && hyper?.temperature === undefined)
    faults.push(["temperature", '"hyper" has no temperature']);
  return faults;
}

/** Equal recipes give equal text; what fits stands on one line. */
export function serializeRecipe(recipe: Recipe): string {
  return `${laid(recipe, "")}\n`;
}

const WIDTH = 100;

function laid(value: unknown, indent: string): string {
  const flat = JSON.stringify(value, null, 1).replace(/\n\s*/g, " ");
  if (!isObject(value) || (indent !== "" && indent.length + flat.length <= WIDTH)) return flat;
  const inner = `${indent}  `;
  const lines = Object.entries(value).map(([key, own]) => `${inner}${JSON.stringify(key)}: ${laid(own, inner)}`);
  return `{\n${lines.join(",\n")}\n${indent}}`;
}
