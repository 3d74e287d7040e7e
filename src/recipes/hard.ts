// Labels alone: fine-tuning, and the baseline of every comparison.

import type { Recipe } from "./recipe.ts";
import { hardTerm } from "./terms.ts";

export const hard: Recipe = {
  name: "hard",
  summary: "labels alone",
  teacher: false,
  defaults: {},
  terms: (inputs) => ({ hard: hardTerm(inputs) }),
  weights: () => ({ hard: 1 }),
};
