// AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) as PyTorch computes it, with the clipping of clip_grad_norm_:
//   s = min(1, maxNorm/(‖g‖ + 1e-6));  w ← w − lr·λ·w;  m ← β₁m + (1−β₁)·s·g;  v ← β₂v + (1−β₂)·(s·g)²
//   w ← w − (lr/(1−β₁ᵗ))·m/(√v/√(1−β₂ᵗ) + ε);  g ← 0
// Everything that changes from step to step is in `hyper` = [lr, β₁, β₂, ε, λ, 1−β₁ᵗ, √(1−β₂ᵗ), maxNorm (0: no clipping)].
// When ‖g‖ is not finite only g is zeroed: a NaN never reaches a weight.

import { elements } from "../program/dispatch.ts";
import { defineOp } from "../program/op.ts";

export const adamw = defineOp<{ decay: boolean }>()({
  name: "adamw",
  inputs: { w: "...", g: "...", m: "...", v: "...", hyper: "8", norm: "1" },
  output: null,
  writes: ["w", "g", "m", "v"],
  parameters: ({ total }, { decay }) => [total, Number(decay)],
  dispatches: ({ total }) => [{ entry: "adamw", grid: elements(total), bind: ["w", "g", "m", "v", "hyper", "norm"] }],
  formula: ({ inputs: { w, g, m, v, hyper, norm }, attributes: { decay } }) => {
    const [lr, beta1, beta2, epsilon, lambda, correction1, rootCorrection2, maxNorm] = hyper;
    if (Number.isFinite(norm[0])) {
      const s = maxNorm > 0 ? Math.min(1, maxNorm / (norm[0] + 1e-6)) : 1;
      for (let i = 0; i < w.length; i++) {
        const gradient = s * g[i];
        if (decay) w[i] -= lr * lambda * w[i];
        m[i] = beta1 * m[i] + (1 - beta1) * gradient;
        v[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient;
        w[i] -= ((lr / correction1) * m[i]) / (Math.sqrt(v[i]) / rootCorrection2 + epsilon);
      }
    }
    g.fill(0);
  },
});
