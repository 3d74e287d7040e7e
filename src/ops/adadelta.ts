// AdaDelta (Zeiler 2012, arXiv:1212.5701, algorithm 1) as PyTorch computes it, with the clipping of clip_grad_norm_ before:
//   s = min(1, maxNorm/(‖g‖ + 1e-6));  d = s·g + λ·w;  v ← ρv + (1−ρ)·d²;  δ = √(m + ε)/√(v + ε)·d;  m ← ρm + (1−ρ)·δ²;  w ← w − lr·δ;  g ← 0
// m holds the mean of squared steps. `hyper` has adamw's places: [lr, –, ρ, ε, λ, –, –, maxNorm (0: no clipping)]. When ‖g‖, the norm of
// all tensors, is not finite only g is zeroed.

import { elements } from "../program/dispatch.ts";
import { defineOp } from "../program/op.ts";

export const adadelta = defineOp<{ decay: boolean }>()({
  name: "adadelta",
  inputs: { w: "...", g: "...", m: "...", v: "...", hyper: "8", norm: "1" },
  output: null,
  writes: ["w", "g", "m", "v"],
  parameters: ({ total }, { decay }) => [total, Number(decay)],
  dispatches: ({ total }) => [
    { entry: "adadelta", grid: elements(total), bind: ["w", "g", "m", "v", "hyper", "norm"] },
  ],
  formula: ({ inputs: { w, g, m, v, hyper, norm }, attributes: { decay } }) => {
    const [lr, , rho, epsilon, lambda, , , maxNorm] = hyper;
    if (Number.isFinite(norm[0])) {
      const s = maxNorm > 0 ? Math.min(1, maxNorm / (norm[0] + 1e-6)) : 1;
      for (let i = 0; i < w.length; i++) {
        const d = s * g[i] + (decay ? lambda * w[i] : 0);
        v[i] = rho * v[i] + (1 - rho) * d * d;
        const step = (Math.sqrt(m[i] + epsilon) / Math.sqrt(v[i] + epsilon)) * d;
        m[i] = rho * m[i] + (1 - rho) * step * step;
        w[i] -= lr * step;
      }
    }
    g.fill(0);
  },
});
