// out = Σ x, in order: the rows of a loss become one number. Its gradient fills the rows with the number that came back.

import { defineOp } from "../program/op.ts";
import { fill } from "./fill.ts";

export const sum = defineOp<Record<string, never>>()({
  name: "sum",
  inputs: { x: "R" },
  output: "1",
  parameters: ({ R }) => [R],
  dispatches: () => [{ entry: "sum", grid: [1, 1, 1] }],
  gradient: ({ dy, dims: { R } }) => ({ x: () => fill({ s: dy }, { R }) }),
  formula: ({ inputs: { x }, out }) => {
    for (const v of x) out[0] += v;
  },
});
