// BertAdam, the optimiser of BERT's own code and of TinyBERT's and PKD's (Devlin et al. 2019, arXiv:1810.04805). `maxNorm` is for each tensor.

import { globalNorm, bertAdam as update } from "../ops/index.ts";
import type { Optimizer } from "./optimizer.ts";

export const bertAdam: Optimizer = {
  name: "bertAdam",
  defaults: { beta1: 0.9, beta2: 0.999, epsilon: 1e-6, weightDecay: 0.01, maxNorm: 1 },
  update: (of, attributes) => update({ ...of, own: globalNorm({ tensors: [of.g] }, {}) }, attributes),
};
