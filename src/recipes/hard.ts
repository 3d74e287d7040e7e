// Labels alone: fine-tuning, and the baseline of every comparison.

import type { Recipe } from "./recipe.ts";

export const hard: Recipe = {
  name: "hard",
  summary: "labels alone",
  stages: { task: { terms: { hard: { loss: "labels" } } } },
};
