// Distilled BiLSTM (Tang et al. 2019, arXiv:1903.12136, eq. 3 and 4):
//   L = α·‖z_T − z_S‖² + (1 − α)·CE(labels), α = 1: logits alone (the paper's α is our 1 − α, and 0); ‖·‖² is the mean over batch and
//   classes, as its code has it
// AdaDelta with rate 1 and ρ = 0.95, batches of 50, 30 epochs, on many more texts than there are labels for: n_iter copies of each.

import type { Recipe } from "./recipe.ts";

export const bilstm: Recipe = {
  name: "bilstm",
  summary: "logits as they are, on texts with masked, replaced and missing words",
  source: "Tang et al. 2019, arXiv:1903.12136",
  hyper: { alpha: 1 },
  augmentation: { pMask: 0.1, pPos: 0.1, pNg: 0.25, nIter: 20, pairNIter: 10 },
  stages: {
    task: {
      terms: {
        soft: { loss: "mse", of: "logits", weight: "alpha" },
        hard: { loss: "labels", weight: "1 - alpha" },
      },
      training: {
        ...{ optimizer: "adadelta", learningRate: 1, adamBeta2: 0.95, lrSchedulerType: "constant", warmupRatio: 0 },
        ...{ weightDecay: 0, maxGradNorm: 0, batchSize: 50, epochs: 30 },
      },
    },
  },
};
