// out[r] = s for every r.

import { elements } from "../program/dispatch.ts";
import { defineOp } from "../program/op.ts";

export const fill = defineOp<{ R: number }>()({
  name: "fill",
  inputs: { s: "1" },
  output: "R",
  parameters: ({ R }) => [R],
  dispatches: ({ R }) => [{ entry: "fill", grid: elements(R) }],
  formula: ({ inputs: { s }, out }) => {
    out.fill(s[0]);
  },
});
