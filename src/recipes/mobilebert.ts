// MobileBERT (Sun et al. 2020, arXiv:2004.02984, eq. 1 to 3): in every layer ℓ what lies between the blocks, and how heads attend,
//   hidden_ℓ     1/(T·N)·Σ_t Σ_n (H_T[t,n] − H_S[t,n])²          T tokens, N the width between blocks, A heads
//   attention_ℓ  1/(T·A)·Σ_t Σ_a KL(a_T[t,a] ‖ a_S[t,a])
// then soft and true labels, (1 − α)·CE + α·KL at T = 1. Three ways to combine them (section 3.5):
//   mobilebert            progressive: layer by layer on plain text, each trained while the others rest
//   mobilebert-joint      all layers at once on plain text
//   mobilebert-auxiliary  no stage of its own: β·(hidden + attention) beside the labels
// The paper's form: plain MSE (its code: after a norm without parameters, times 100, and terms of mean and variance), KL (its code: the
// cross-entropy). Layers below rest (its code: train at a tenth of the rate); embeddings, taken from an IB-BERT, are trained with the first
// layer (its code: never). What follows in the paper, distillation by masked words and by next sentences, is left out. Where widths differ a
// matrix maps the student's, where depths differ layers are matched as in TinyBERT.

import type { Recipe, Stage, Term } from "./recipe.ts";

const transfer = (weight?: "beta"): Record<string, Term> => ({
  hidden: { loss: "mse", of: "hidden", map: "uniform", project: "hidden", ...(weight && { weight }) },
  attention: { loss: "kl", of: "scores", map: "uniform", ...(weight && { weight }) },
});
const labels: Stage["terms"] = {
  soft: { loss: "kl", of: "logits", temperature: "temperature", weight: "alpha" },
  hard: { loss: "labels", weight: "1 - alpha" },
};
const training = { optimizer: "lamb", epochs: 8, learningRate: 3e-2, warmupRatio: 0.1 };
const hyper = { temperature: 1, alpha: 0.5 };
const source = "Sun et al. 2020, arXiv:2004.02984";
const summary = "hidden states and attention maps";

export const mobilebert: Recipe = {
  ...{ name: "mobilebert", summary: `${summary}, layer by layer, on plain text, then labels`, source, hyper },
  stages: { transfer: { data: "text", layer: "each", terms: transfer(), training }, task: { terms: labels } },
};
export const mobilebertJoint: Recipe = {
  ...{ name: "mobilebert-joint", summary: `${summary} of all layers on plain text, then labels`, source, hyper },
  stages: { transfer: { data: "text", terms: transfer(), training }, task: { terms: labels } },
};
export const mobilebertAuxiliary: Recipe = {
  ...{ name: "mobilebert-auxiliary", summary: `labels, ${summary}`, source, hyper: { ...hyper, beta: 1 } },
  stages: { task: { terms: { ...labels, ...transfer("beta") }, training } },
};
