// out[d] = Σ_r x[r, d]: the gradient of a bias. Rows are added in their order.

import { columns } from "../program/dispatch.ts";
import { defineOp } from "../program/op.ts";

export const columnSum = defineOp<Record<string, never>>()({
  name: "columnSum",
  inputs: { x: "R D" },
  output: "D",
  accumulates: true,
  parameters: ({ R, D }) => [R, D],
  dispatches: ({ D }) => [{ entry: "columnSum", grid: columns(D) }],
  formula: ({ inputs: { x }, out, dims: { R, D } }) => {
    for (let r = 0; r < R; r++) for (let d = 0; d < D; d++) out[d] += x[r * D + d];
  },
});
