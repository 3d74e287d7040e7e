// MiniLM (Wang et al. 2020, arXiv:2002.10957, eq. 3 to 7): the last layer's attention and value relations, then the task's labels.
//   L_AT = 1/(H·|x|)·Σ KL(softmax(Q_T·K_Tᵀ/√d) ‖ softmax(Q_S·K_Sᵀ/√d))      H heads on both sides
//   L_VR = 1/(H·|x|)·Σ KL(softmax(V_T·V_Tᵀ/√d) ‖ softmax(V_S·V_Sᵀ/√d))      d: the width of a head, of either side
// MiniLMv2 (Wang et al. 2021, arXiv:2012.15828, eq. 1 to 4): relations of queries, of keys and of values, cut into as many relation heads on
// both sides whatever heads the models have, all α = 1; --layer-map chooses the teacher's layer (the paper: 21 of 24 for a large teacher).
// Means over the real tokens of each sequence; the teacher stops at the layer that is used. No masked-LM term: the authors found that it hurts.

import type { Recipe, Stage, Term } from "./recipe.ts";

const relations = (heads?: number): Term => ({ loss: "kl", of: "values", map: "final", ...(heads ? { heads } : {}) });

function lastLayer(name: string, source: string, terms: Stage["terms"]): Recipe {
  const training = { epochs: 3, learningRate: 4e-4, warmupRatio: 0.01, adamEpsilon: 1e-6 };
  return {
    name,
    summary: `${Object.keys(terms).join(", ")} of the last layer on plain text, then labels`,
    source,
    stages: {
      relations: { data: "text", terms, training },
      task: { terms: { hard: { loss: "labels" } } },
    },
  };
}

export const minilm = lastLayer("minilm", "Wang et al. 2020, arXiv:2002.10957", {
  attention: { loss: "kl", of: "scores", map: "final" },
  values: relations(),
});

export const minilmV2 = lastLayer("minilm-v2", "Wang et al. 2021, arXiv:2012.15828", {
  queries: { ...relations(48), of: "queries" },
  keys: { ...relations(48), of: "keys" },
  values: relations(48),
});
