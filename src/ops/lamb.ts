// LAMB (You et al. 2020, arXiv:1904.00962, algorithm 2, φ(z) = z), with the clipping of clip_grad_norm_ before; one call is one tensor:
//   s = min(1, maxNorm/(‖g‖ + 1e-6));  m ← β₁m + (1−β₁)·s·g;  v ← β₂v + (1−β₂)·(s·g)²
//   u = (m/(1−β₁ᵗ))/(√v/√(1−β₂ᵗ) + ε) + λ·w;  w ← w − lr·(‖w‖/‖u‖)·u;  g ← 0
// The ratio is 1 where either norm is 0. Tensors without `decay` have neither λ nor a ratio, as in the authors' and in MobileBERT's code.
// Without `correct` both corrections are 1, as in MobileBERT's code. `hyper` is adamw's. When ‖g‖, the norm of all tensors, is not finite
// only g is zeroed.

import { CHUNK } from "../../shaders/layout.ts";
import { elements, spread } from "../program/dispatch.ts";
import { type Dims, defineOp } from "../program/op.ts";

const bind = ["scratch", "w", "g", "m", "v", "hyper", "norm"];

/** Σ w² and Σ u² of every CHUNK elements, the fixed leaves of both sums, and a GPU's ratio. */
const scratch = ({ total }: Dims) => 8 * Math.ceil(total / CHUNK) + 4;

const length = (x: Float64Array) => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));

export const lamb = defineOp<{ decay: boolean; correct: boolean }>()({
  name: "lamb",
  inputs: { w: "...", g: "...", m: "...", v: "...", hyper: "8", norm: "1" },
  output: null,
  writes: ["w", "g", "m", "v"],
  parameters: ({ total }, { decay, correct }) => [total, Number(decay), Number(correct)],
  scratch,
  dispatches: (dims) => [
    { entry: "lambDirection", grid: spread(Math.ceil(dims.total / CHUNK)), bind, scratch: scratch(dims) },
    { entry: "lambRatio", grid: [1, 1, 1], bind },
    { entry: "lamb", grid: elements(dims.total), bind },
  ],
  formula: ({ inputs: { w, g, m, v, hyper, norm }, attributes: { decay, correct } }) => {
    const [lr, beta1, beta2, epsilon, lambda, , , maxNorm] = hyper;
    const [correction1, rootCorrection2] = correct ? hyper.subarray(5, 7) : [1, 1];
    if (Number.isFinite(norm[0])) {
      const s = maxNorm > 0 ? Math.min(1, maxNorm / (norm[0] + 1e-6)) : 1;
      const u = g.map((gradient, i) => {
        m[i] = beta1 * m[i] + (1 - beta1) * s * gradient;
        v[i] = beta2 * v[i] + (1 - beta2) * (s * gradient) ** 2;
        return m[i] / correction1 / (Math.sqrt(v[i]) / rootCorrection2 + epsilon) + (decay ? lambda * w[i] : 0);
      });
      const ratio = decay ? length(w) / length(u) : 1;
      const rate = lr * (ratio > 0 && ratio < Infinity ? ratio : 1);
      for (let i = 0; i < w.length; i++) w[i] -= rate * u[i];
    }
    g.fill(0);
  },
});
