// Knowledge distillation (Hinton, Vinyals & Dean 2015, arXiv:1503.02531):
//   L = α·T²·KL(teacher ‖ student, both at T) + (1 − α)·CE(labels),  batch means
// KL rather than the paper's cross-entropy: the same gradient, and 0 means a perfect match.

import type { Recipe } from "./recipe.ts";

export const kd: Recipe = {
  name: "kd",
  summary: "soft labels at a temperature, and labels",
  source: "Hinton et al. 2015, arXiv:1503.02531",
  hyper: { temperature: 4, alpha: 0.7 },
  stages: {
    task: {
      terms: {
        soft: { loss: "kl", of: "logits", temperature: "temperature", weight: "alpha" },
        hard: { loss: "labels", weight: "1 - alpha" },
      },
    },
  },
};
