// Cross-entropy with hard labels, one number a row: loss[r] = w[r]·(log Σ_c exp z[r,c] − z[r, label]).
// A row whose label is NONE, or whose weight is 0, counts for nothing. Weights carry the mean (w = 1/count), so the sum of the rows is the loss.
//   dz = dloss·w·(softmax(z) − onehot(label))

import { rows } from "../program/dispatch.ts";
import { defineOp } from "../program/op.ts";
import { NONE } from "../program/value.ts";

type None = Record<string, never>;

export const crossEntropy = defineOp<None>()({
  name: "crossEntropy",
  inputs: { logits: "R C", labels: "u32 R", weight: "R" },
  output: "R",
  parameters: ({ R, C }) => [R, C],
  dispatches: ({ R }) => [{ entry: "crossEntropy", grid: rows(R) }],
  gradient: ({ dy, inputs: { logits, labels, weight } }) => ({
    logits: () => crossEntropyGrad({ dy, logits, labels, weight }, {}),
  }),
  formula: ({ inputs: { logits, labels, weight }, out, dims: { R, C } }) => {
    for (let r = 0; r < R; r++) {
      if (labels[r] === NONE || weight[r] === 0) continue;
      const z = logits.subarray(r * C, (r + 1) * C);
      const most = Math.max(...z);
      out[r] = weight[r] * (most + Math.log(z.reduce((sum, v) => sum + Math.exp(v - most), 0)) - z[labels[r]]);
    }
  },
});

export const crossEntropyGrad = defineOp<None>()({
  name: "crossEntropyGrad",
  inputs: { dy: "R", logits: "R C", labels: "u32 R", weight: "R" },
  output: "R C",
  parameters: ({ R, C }) => [R, C],
  dispatches: ({ R }) => [
    { entry: "crossEntropyGrad", grid: rows(R), bind: ["out", "logits", "labels", "weight", "dy"] },
  ],
  formula: ({ inputs: { dy, logits, labels, weight }, out, dims: { R, C } }) => {
    for (let r = 0; r < R; r++) {
      if (labels[r] === NONE || weight[r] === 0) continue;
      const z = logits.subarray(r * C, (r + 1) * C);
      const most = Math.max(...z);
      const sum = z.reduce((a, v) => a + Math.exp(v - most), 0);
      for (let c = 0; c < C; c++)
        out[r * C + c] = dy[r] * weight[r] * (Math.exp(z[c] - most) / sum - (c === labels[r] ? 1 : 0));
    }
  },
});
