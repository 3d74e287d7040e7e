// What the terms of a recipe mean. Every loss has one canonical form; means are over what a row has and a batch knows:
//   labels                 mean over the labelled rows of −log softmax(z)[label]; in regression of (z − score)²
//   kl, crossEntropy of logits   batch mean of KL(p ‖ softmax(z/T)) or −Σ p·log softmax(z/T), p the mean of the teachers' softmax(z/T); counts
//                          T² times in the loss. In regression (z − mean of the teachers' scores)², without T
//   mse, cosine of vectors mean over the batch of 1/D·Σ(a − b)² or of 1 − cos(a, b); of token rows first the mean over each sequence
//   mse of scores          mean over the batch, heads, and the pairs of tokens of each sequence
//   kl, crossEntropy of scores    between softmax(q·kᵀ/√d) of both sides: mean over the batch, heads, and the tokens of each sequence
//   … of queries, keys, values    between relations softmax(a·aᵀ/√d), d the width of a relation head, likewise
//   … with "mean": "tokens"   mean over the tokens of the batch, in place of that over each sequence first
//   of vocabulary, masked  vocabulary.ts
// Features that each layer has are compared by a layer map (maps.ts), summed over the pairs or averaged.

import { InputError } from "../errors.ts";
import type { BatchValues, Features } from "../models/features.ts";
import {
  add,
  attentionPairs,
  cosineDistance,
  crossEntropy,
  kl,
  mse,
  mul,
  normalize,
  softCrossEntropy,
  softmax,
  sum,
} from "../ops/index.ts";
import type { Value } from "../program/value.ts";
import { layerPairs } from "./maps.ts";
import type { Hyper, Stage, Term } from "./recipe.ts";
import { overVocabulary, vocabularyTerms } from "./vocabulary.ts";

export interface TermInputs {
  readonly teachers: readonly Features[];
  readonly student: Features;
  readonly batch: BatchValues;
  readonly regression: boolean;
  /** T as an input. [1] */
  readonly temperature: Value;
  /** x times a trained matrix that belongs to the recipe: [N, D] → [N, width]. */
  readonly project: (name: string, x: Value, width: number) => Value;
}

/** Each term is [1]: the sum of its rows, weighted to a mean by the batch. */
export function traceTerms({ terms, layer }: Stage, inputs: TermInputs): Record<string, Value> {
  for (const [name, term] of Object.entries(terms)) requireOne(name, term, inputs);
  const traced = vocabularyTerms(terms, inputs);
  return Object.fromEntries(
    Object.entries(terms).map(([name, term]) => [name, traced[name] ?? traceTerm(name, term, inputs, layer)]),
  );
}

/** What each term counts in the loss. */
export function termWeights({ terms }: Stage, hyper: Hyper, regression: boolean): Record<string, number> {
  const weightOf = ({ loss, of, weight = 1, temperature }: Term) => {
    const w = weight === "1 - alpha" ? 1 - hyper.alpha : typeof weight === "string" ? hyper[weight] : weight;
    const divergent = loss === "kl" || loss === "crossEntropy";
    const softened = divergent && ((of === "logits" && !regression) || overVocabulary({ of }));
    const T = temperature === "temperature" ? hyper.temperature : (temperature ?? 1);
    return softened ? w * T * T : w;
  };
  return Object.fromEntries(Object.entries(terms).map(([name, term]) => [name, weightOf(term)]));
}

function traceTerm(name: string, term: Term, inputs: TermInputs, layer: Stage["layer"]): Value {
  const { loss, of, map, teacherLayers, reduction } = term;
  const { student, teachers } = inputs;
  if (loss === "labels" || of === undefined) return hardTerm(inputs);
  if (of === "logits") return softTerm(name, term, inputs);
  const [teacher] = teachers;
  const [mine, theirs] = [student[of], teacher[of]];
  const compared = (a: Value, b: Value) => compare(name, term, a, b, inputs);
  if (!isList(mine) || !isList(theirs)) return compared(mine as Value, theirs as Value);
  const all = layerPairs(map ?? "uniform", theirs.length, mine.length, teacherLayers);
  const pairs = layer === undefined ? all : all.filter(([m]) => m === layer);
  if (pairs.length === 0)
    throw new InputError(
      "RECIPE_LAYERS",
      `term "${name}" compares nothing in layer ${layer} of the student: map "${map}" matches its layers ${all.map(([m]) => m).join(", ")}.`,
    );
  const total = pairs.map(([m, g]) => compared(mine[m - 1], theirs[g - 1])).reduce(add);
  return reduction === "mean" ? mul(total, total.trace.constant([1 / pairs.length])) : total;
}

function requireOne(name: string, { loss, of }: Term, { teachers }: TermInputs): void {
  if (loss === "labels" || of === "logits" || teachers.length === 1) return;
  throw new InputError(
    "RECIPE_TEACHERS",
    `term "${name}" needs exactly one teacher, ${teachers.length} were given; only logits are averaged over several.`,
  );
}

const isList = (x: unknown): x is readonly Value[] => Array.isArray(x);

/** Mean over the labelled rows of the cross-entropy, or of the squared error in regression. */
function hardTerm({ student, batch, regression }: TermInputs): Value {
  const { labels, scores, labelWeight: weight } = batch;
  const rows = regression
    ? mse({ a: student.logits, b: scores, weight }, {})
    : crossEntropy({ logits: student.logits, labels, weight }, {});
  return sum({ x: rows }, {});
}

/** Mean over teachers of f(teacher): one teacher, or an ensemble. */
function mean(teachers: readonly Features[], f: (teacher: Features) => Value): Value {
  const total = teachers.map(f).reduce(add);
  return teachers.length === 1 ? total : mul(total, total.trace.constant([1 / teachers.length]));
}

function softTerm(name: string, { loss, temperature: T }: Term, inputs: TermInputs): Value {
  const { teachers, student, batch, regression } = inputs;
  if (teachers.length === 0)
    throw new InputError("RECIPE_TEACHERS", `term "${name}" compares logits with a teacher's, and there is none.`);
  const logits = student.logits;
  const weight = batch.rowWeight;
  if (regression || loss === "mse")
    return sum({ x: mse({ a: logits, b: mean(teachers, (t) => t.logits), weight }, {}) }, {});
  const temperature = T === "temperature" ? inputs.temperature : logits.trace.constant([T ?? 1]);
  const targets = mean(teachers, (t) => softmax({ x: t.logits, temperature }, {}));
  return sum({ x: divergence(loss)({ targets, logits, temperature, weight }) }, {});
}

const divergence = (loss: Term["loss"]) =>
  loss === "kl" ? (given: Parameters<typeof softCrossEntropy>[0]) => kl(given, {}) : softCrossEntropy;

/** One feature of the student with one of the teacher. [1] */
function compare(name: string, term: Term, a: Value, b: Value, inputs: TermInputs): Value {
  const { offsets, tokenWeight, eachWeight, rowWeight } = inputs.batch;
  const { loss, of, mean: over } = term;
  const weight = of === "cls" || of === "pooled" ? rowWeight : over === "tokens" ? eachWeight : tokenWeight;
  if (loss === "kl" || loss === "crossEntropy") {
    const maps = of === "scores" ? [a, b] : relations(name, term, a, b, inputs);
    sameHeads(name, maps[0], maps[1]);
    const targets = softmax({ x: maps[1], offsets }, {});
    const temperature = a.trace.constant([1]);
    return sum({ x: divergence(loss)({ targets, logits: maps[0], temperature, weight, offsets }) }, {});
  }
  if (of === "scores") {
    sameHeads(name, a, b);
    return sum({ x: mse({ a, b, weight, offsets }, {}) }, {});
  }
  const mine =
    term.project !== undefined && a.shape[1] !== b.shape[1] ? inputs.project(term.project, a, b.shape[1]) : a;
  if (mine.shape[1] !== b.shape[1])
    throw new InputError(
      "RECIPE_WIDTHS",
      `term "${name}" compares ${of} of equal width: the teacher has ${b.shape[1]}, the student ${a.shape[1]}. Give the term a "project", use another recipe, or a student of layers:K.`,
    );
  if (loss === "cosine") return sum({ x: cosineDistance({ a: mine, b, weight }) }, {});
  const side = (x: Value) => (term.normalize ? normalize({ x }, { epsilon: 1e-12 }) : x);
  return sum({ x: mse({ a: side(mine), b: side(b), weight }, {}) }, {});
}

/** a·aᵀ/√d for each head, of both sides. [N, H, L] */
function relations(name: string, { heads }: Term, a: Value, b: Value, inputs: TermInputs): Value[] {
  const { student, teachers, batch } = inputs;
  return [[a, heads ?? student.heads, "student"] as const, [b, heads ?? teachers[0].heads, "teacher"] as const].map(
    ([x, H, whose]) => {
      const width = x.shape[1];
      if (width % H !== 0)
        throw new InputError(
          "RECIPE_HEADS",
          `term "${name}" cuts vectors into ${H} heads, which do not divide the ${whose}'s width of ${width}; set "heads" to one of ${commonDivisors(a.shape[1], b.shape[1]).join(", ")} (--relation-heads).`,
        );
      return attentionPairs(
        { q: x, k: x, offsets: batch.offsets },
        { H, L: batch.longest, scale: 1 / Math.sqrt(width / H) },
      );
    },
  );
}

function commonDivisors(a: number, b: number): number[] {
  return Array.from({ length: Math.min(a, b, 128) }, (_, i) => i + 1).filter((h) => a % h === 0 && b % h === 0);
}

function sameHeads(name: string, { shape: [, mine] }: Value, { shape: [, theirs] }: Value): void {
  if (mine === theirs) return;
  throw new InputError(
    "RECIPE_HEADS",
    `term "${name}" compares attention head by head: the teacher has ${theirs} heads, the student ${mine}. Give the student ${theirs} (bert:LxDx${theirs}), or use minilm-v2, which cuts both sides into as many relation heads.`,
  );
}
