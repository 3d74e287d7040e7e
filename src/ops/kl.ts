// Kullback–Leibler divergence of the student from soft targets t (probabilities), one number a row:
//   loss[r] = w[r]·Σ_c t·(log t − log softmax(z/T)),  0·log 0 = 0
// The soft-label term of Hinton et al. 2015 (arXiv:1503.02531) without its T², which the recipe's weight states. It differs from the
// cross-entropy of the same pair by the entropy of t: the gradient is the same, and 0 means a perfect match.
//   dz = dloss·w·(softmax(z/T)·Σt − t)/T

import { rows } from "../program/dispatch.ts";
import { defineOp } from "../program/op.ts";

type None = Record<string, never>;

function logSoftmax(z: Float64Array, T: number): Float64Array {
  const most = Math.max(...z);
  const log = Math.log(z.reduce((sum, v) => sum + Math.exp((v - most) / T), 0));
  return z.map((v) => (v - most) / T - log);
}

export const kl = defineOp<None>()({
  name: "kl",
  inputs: { targets: "R C", logits: "R C", temperature: "1", weight: "R" },
  output: "R",
  parameters: ({ R, C }) => [R, C],
  dispatches: ({ R }) => [{ entry: "kl", grid: rows(R) }],
  gradient: ({ dy, inputs: { targets, logits, temperature, weight } }) => ({
    logits: () => klGrad({ dy, targets, logits, temperature, weight }, {}),
  }),
  formula: ({ inputs: { targets, logits, temperature, weight }, out, dims: { R, C } }) => {
    for (let r = 0; r < R; r++) {
      if (weight[r] === 0) continue;
      const log = logSoftmax(logits.subarray(r * C, (r + 1) * C), temperature[0]);
      for (let c = 0; c < C; c++) {
        const t = targets[r * C + c];
        if (t > 0) out[r] += weight[r] * t * (Math.log(t) - log[c]);
      }
    }
  },
});

export const klGrad = defineOp<None>()({
  name: "klGrad",
  inputs: { dy: "R", targets: "R C", logits: "R C", temperature: "1", weight: "R" },
  output: "R C",
  parameters: ({ R, C }) => [R, C],
  dispatches: ({ R }) => [
    { entry: "klGrad", grid: rows(R), bind: ["out", "targets", "logits", "temperature", "weight", "dy"] },
  ],
  formula: ({ inputs: { dy, targets, logits, temperature, weight }, out, dims: { R, C } }) => {
    for (let r = 0; r < R; r++) {
      if (weight[r] === 0) continue;
      const t = targets.subarray(r * C, (r + 1) * C);
      const log = logSoftmax(logits.subarray(r * C, (r + 1) * C), temperature[0]);
      const sum = t.reduce((a, b) => a + b, 0);
      for (let c = 0; c < C; c++)
        out[r * C + c] = (dy[r] * weight[r] * (Math.exp(log[c]) * sum - t[c])) / temperature[0];
    }
  },
});
