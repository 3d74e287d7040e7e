// The terms that several recipes share. Means are over the rows that have what the term needs: labels, or a teacher.

import type { Features } from "../models/features.ts";
import { add, crossEntropy, kl, mse, mul, softmax, sum } from "../ops/index.ts";
import type { Value } from "../program/value.ts";
import type { RecipeInputs } from "./recipe.ts";

/** Mean over the labelled rows of the cross-entropy, or of the squared error in regression. */
export function hardTerm({ student, batch, regression }: RecipeInputs): Value {
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

/**
 * Hinton's soft term (arXiv:1503.02531) without its T²: KL from the mean of the teachers' softened probabilities, batch mean.
 * In regression: the squared error to the mean of the teachers' scores.
 */
export function softTerm({ teachers, student, batch, regression, temperature }: RecipeInputs): Value {
  const weight = batch.rowWeight;
  const rows = regression
    ? mse({ a: student.logits, b: mean(teachers, (t) => t.logits), weight }, {})
    : kl(
        {
          targets: mean(teachers, (t) => softmax({ x: t.logits, temperature }, {})),
          logits: student.logits,
          temperature,
          weight,
        },
        {},
      );
  return sum({ x: rows }, {});
}

/** α·T² for the soft term, so that its gradient keeps its size as T grows; 1 − α for the hard one. Scores have no T. */
export function mix(alpha: number, temperature: number, regression: boolean): { soft: number; hard: number } {
  return { soft: regression ? alpha : alpha * temperature * temperature, hard: 1 - alpha };
}
