// TinyBERT (Jiao et al. 2020, arXiv:1909.10351, eq. 6 to 11): student layer m learns from teacher layer g(m) = m·N/M, all λ = 1.
//   intermediate   MSE(E_S·W_e, E_T) + Σ_m MSE(H_S[m]·W_h, H_T[g(m)]) + Σ_m 1/H·Σ_heads MSE(A_S[m], A_T[g(m)]), A before the softmax
//   prediction     −Σ softmax(z_T/t)·log softmax(z_S/t), t = 1
// The paper's form: W_e and one W_h, without bias, absent where widths agree (its code: one W with bias for all: "project" of one name);
// means over the real tokens of each sequence (its code: padding too); the batch mean of the cross-entropy (its code: 1/C of it). Labels
// are not read; the head is Hugging Face's, without the authors' extra ReLU; the teacher has no dropout. `general` is the intermediate loss
// on plain text, before any task. Both task stages read copies of the texts too, p_t = 0.4, K = 15 and N_a = 20, where a masked-LM is at hand
// to make them.

import type { Recipe, Stage } from "./recipe.ts";

const terms: Stage["terms"] = {
  embedding: { loss: "mse", of: "embedding", project: "embedding" },
  hidden: { loss: "mse", of: "hidden", map: "uniform", project: "hidden" },
  attention: { loss: "mse", of: "scores", map: "uniform" },
};
const optimizer = "bertAdam";

export const tinybert: Recipe = {
  name: "tinybert",
  summary: "embeddings, hidden states and attention scores of every layer, then soft labels",
  source: "Jiao et al. 2020, arXiv:1909.10351",
  hyper: { temperature: 1 },
  augmentation: { pReplace: 0.4, candidates: 15, nIter: 20, pairNIter: 20 },
  stages: {
    general: { data: "text", optional: true, terms, training: { optimizer, epochs: 3, warmupRatio: 0.1 } },
    intermediate: {
      terms,
      training: { optimizer, epochs: 20, learningRate: 5e-5, lrSchedulerType: "constant", warmupRatio: 0 },
    },
    prediction: {
      terms: { soft: { loss: "crossEntropy", of: "logits", temperature: "temperature" } },
      training: { optimizer, epochs: 3, learningRate: 3e-5, warmupRatio: 0.1 },
    },
  },
};
