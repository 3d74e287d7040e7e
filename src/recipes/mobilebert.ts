// MobileBERT (Sun et al. 2020, arXiv:2004.02984, eq. 1 to 3): in every layer ℓ what lies between the blocks, and how heads attend,
//   hidden_ℓ     1/(T·N)·Σ_t Σ_n (H_T[t,n] − H_S[t,n])²          T tokens, N the width between blocks, A heads
//   attention_ℓ  1/(T·A)·Σ_t Σ_a KL(a_T[t,a] ‖ a_S[t,a])
// then, means over masked tokens of plain text, ½·CE(z_S, what they were) + ½·KL(softmax(z_T) ‖ softmax(z_S)), z of masked-LM heads, the weights
// those of its code, the paper's term of next sentences left out; then soft and true labels, (1 − α)·CE + α·KL at T = 1. Three ways (section 3.5):
//   mobilebert, mobilebert-joint   on plain text layer by layer, each trained while the others rest, or all layers at once
//   mobilebert-auxiliary           no stages on plain text: β·(hidden + attention) beside the labels
// The paper's form: plain MSE (its code: after a norm without parameters, times 100, and terms of mean and variance), KL (its code: the
// cross-entropy). Layers below rest (its code: train at a tenth of the rate); embeddings and masked-LM head are an IB-BERT's, trained with the first
// layer (its code: never). Where widths differ a matrix maps the student's, where depths differ layers are matched as in TinyBERT.

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
const masked: Stage = {
  data: "text",
  terms: { mlm: { loss: "labels", of: "masked", weight: 0.5 }, soft: { loss: "kl", of: "masked", weight: 0.5 } },
  training: { optimizer: "lamb", epochs: 3, learningRate: 1.5e-3, warmupRatio: 0.02 },
};
const common = { source: "Sun et al. 2020, arXiv:2004.02984", hyper: { temperature: 1, alpha: 0.5 } };
const onText = (name: string, how: string, each: Pick<Stage, "layer"> = {}): Recipe => ({
  ...{ name, summary: `hidden states and attention maps ${how}, masked tokens of plain text, then labels`, ...common },
  stages: { transfer: { data: "text", ...each, terms: transfer(), training }, masked, task: { terms: labels } },
});

export const mobilebert = onText("mobilebert", "layer by layer", { layer: "each" });
export const mobilebertJoint = onText("mobilebert-joint", "of all layers");
export const mobilebertAuxiliary: Recipe = {
  ...{ name: "mobilebert-auxiliary", summary: "labels, hidden states and attention maps", ...common },
  ...{ hyper: { ...common.hyper, beta: 1 }, stages: { task: { terms: { ...labels, ...transfer("beta") }, training } } },
};
