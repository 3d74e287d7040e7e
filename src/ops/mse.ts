// Mean squared error over the last axis, one number a row: loss[r] = w[r]·(1/D)·Σ_d (a − b)².
// With w = 1/count the sum of the rows is PyTorch's MSELoss. Only `a`, the student's side, has a gradient.
//   da = dloss·w·2(a − b)/D

import { elements, rows } from "../program/dispatch.ts";
import { defineOp } from "../program/op.ts";

type None = Record<string, never>;

export const mse = defineOp<None>()({
  name: "mse",
  inputs: { a: "R D", b: "R D", weight: "R" },
  output: "R",
  parameters: ({ R, D }) => [R, D],
  dispatches: ({ R }) => [{ entry: "mse", grid: rows(R) }],
  gradient: ({ dy, inputs: { a, b, weight } }) => ({ a: () => mseGrad({ dy, a, b, weight }, {}) }),
  formula: ({ inputs: { a, b, weight }, out, dims: { R, D } }) => {
    for (let i = 0; i < R * D; i++) {
      const r = Math.floor(i / D);
      if (weight[r] !== 0) out[r] += (weight[r] * (a[i] - b[i]) ** 2) / D;
    }
  },
});

export const mseGrad = defineOp<None>()({
  name: "mseGrad",
  inputs: { dy: "R", a: "R D", b: "R D", weight: "R" },
  output: "R D",
  parameters: ({ R, D }) => [R, D],
  dispatches: ({ R, D }) => [{ entry: "mseGrad", grid: elements(R * D), bind: ["out", "a", "b", "weight", "dy"] }],
  formula: ({ inputs: { dy, a, b, weight }, out, dims: { R, D } }) => {
    for (let i = 0; i < R * D; i++) {
      const r = Math.floor(i / D);
      if (weight[r] !== 0) out[i] = (dy[r] * weight[r] * 2 * (a[i] - b[i])) / D;
    }
  },
});
