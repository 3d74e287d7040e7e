// BertAdam, the optimiser of BERT's own code (Devlin et al. 2019, arXiv:1810.04805) and of TinyBERT's and PKD's: no bias correction, decay
// inside the update, and every tensor's gradient clipped by its own norm ‖g‖:
//   s = min(1, maxNorm/(‖g‖ + 1e-6));  m ← β₁m + (1−β₁)·s·g;  v ← β₂v + (1−β₂)·(s·g)²;  w ← w − lr·(m/(√v + ε) + λ·w);  g ← 0
// `hyper` has adamw's places: [lr, β₁, β₂, ε, λ, –, –, maxNorm (0: no clipping)]. When `norm`, that of all tensors, is not finite only g is
// zeroed.

import { elements } from "../program/dispatch.ts";
import { defineOp } from "../program/op.ts";

export const bertAdam = defineOp<{ decay: boolean }>()({
  name: "bertAdam",
  /** own: the norm of g alone. */
  inputs: { w: "...", g: "...", m: "...", v: "...", hyper: "8", norm: "1", own: "1" },
  output: null,
  writes: ["w", "g", "m", "v"],
  parameters: ({ total }, { decay }) => [total, Number(decay)],
  dispatches: ({ total }) => [
    { entry: "bertAdam", grid: elements(total), bind: ["w", "g", "m", "v", "hyper", "norm", "own"] },
  ],
  formula: ({ inputs: { w, g, m, v, hyper, norm, own }, attributes: { decay } }) => {
    const [lr, beta1, beta2, epsilon, lambda, , , maxNorm] = hyper;
    if (Number.isFinite(norm[0])) {
      const s = maxNorm > 0 ? Math.min(1, maxNorm / (own[0] + 1e-6)) : 1;
      for (let i = 0; i < w.length; i++) {
        const gradient = s * g[i];
        m[i] = beta1 * m[i] + (1 - beta1) * gradient;
        v[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient;
        w[i] -= lr * (m[i] / (Math.sqrt(v[i]) + epsilon) + (decay ? lambda * w[i] : 0));
      }
    }
    g.fill(0);
  },
});
