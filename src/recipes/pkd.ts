// Patient knowledge distillation (Sun et al. 2019, arXiv:1908.09355):
//   L = (1 − α)·CE + α·T²·KL + β·L_PT
//   L_PT = mean over batch, matched layers and width of (ĥ_S[i] − ĥ_T[g(i)])²,  ĥ = h/‖h‖ of the [CLS] token,  i = 1 … M−1
// Canonical form: L_PT is the element mean of the authors' code (their β of 10 … 1000 belong to it; the paper writes a sum);
// KL is the batch mean of `kd`. Layers: skip g(i) = round(i·N/M), last g(i) = N − M + i.

import { InputError } from "../errors.ts";
import type { Features } from "../models/features.ts";
import { add, mse, mul, normalize, sum } from "../ops/index.ts";
import type { Value } from "../program/value.ts";
import type { Recipe, RecipeInputs } from "./recipe.ts";
import { hardTerm, mix, softTerm } from "./terms.ts";

type LayerRule = (i: number, N: number, M: number) => number;
const skip: LayerRule = (i, N, M) => Math.floor((2 * i * N + M) / (2 * M));
const last: LayerRule = (i, N, M) => N - M + i;

/** Teacher layer (from 1) for the student layers 1 … M−1. */
export function layerMap(rule: LayerRule, teacherLayers: number, studentLayers: number): number[] {
  return Array.from({ length: studentLayers - 1 }, (_, i) => rule(i + 1, teacherLayers, studentLayers));
}

export const patienceMaps = { skip, last };

function patience(rule: LayerRule, inputs: RecipeInputs): Value {
  const { student, batch } = inputs;
  if (inputs.teachers.length !== 1)
    throw new InputError(
      "RECIPE_TEACHERS",
      `patience needs exactly one teacher, ${inputs.teachers.length} were given; use kd.`,
    );
  const [teacher] = inputs.teachers;
  const N = teacher.cls.length;
  const M = student.cls.length;
  const map = inputs.layerMap ?? layerMap(rule, N, M);
  check(map, teacher, student);
  const side = (h: Value) => (inputs.normalizePatience ? normalize({ x: h }, { epsilon: 1e-12 }) : h);
  const layers = map.map((g, i) =>
    sum({ x: mse({ a: side(student.cls[i]), b: side(teacher.cls[g - 1]), weight: batch.rowWeight }, {}) }, {}),
  );
  return mul(layers.reduce(add), student.logits.trace.constant([1 / layers.length]));
}

function check(map: readonly number[], teacher: Features, student: Features): void {
  const N = teacher.cls.length;
  const M = student.cls.length;
  if (M < 2)
    throw new InputError(
      "RECIPE_LAYERS",
      "patience matches the layers below the last: a student of one layer has none; use kd.",
    );
  if (map.length !== M - 1 || map.some((g) => !Number.isInteger(g) || g < 1 || g > N))
    throw new InputError(
      "LAYER_MAP",
      `[${map}] must name ${M - 1} teacher layers between 1 and ${N}, one for each student layer below the last.`,
    );
  const [S, T] = [student.cls[0].shape[1], teacher.cls[map[0] - 1].shape[1]];
  if (S !== T)
    throw new InputError(
      "RECIPE_WIDTHS",
      `patience compares [CLS] states of equal width: the teacher has ${T}, the student ${S}. Use kd, or a student of layers:K.`,
    );
}

const patient = (kind: "skip" | "last"): Recipe => ({
  name: `pkd-${kind}`,
  summary: `kd and the [CLS] states of ${kind === "skip" ? "every so many" : "the last"} layers (Sun et al. 2019)`,
  teacher: true,
  defaults: { temperature: 4, alpha: 0.7, beta: 100 },
  terms: (inputs) => ({
    soft: softTerm(inputs),
    hard: hardTerm(inputs),
    patience: patience(patienceMaps[kind], inputs),
  }),
  weights: ({ temperature, alpha, beta }, regression) => ({ ...mix(alpha, temperature, regression), patience: beta }),
});

export const pkdSkip = patient("skip");
export const pkdLast = patient("last");
