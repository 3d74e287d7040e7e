// y = x·γ + β, column by column: what stands in MobileBERT where others normalise (Sun et al. 2020, arXiv:2004.02984, section 3.4).
//   dx = dy·γ, the same op without β   dγ = Σ_r dy·x   dβ = Σ_r dy

import { elements } from "../program/dispatch.ts";
import { defineOp, type GradientRule } from "../program/op.ts";
import { mul } from "./binary.ts";
import { columnSum } from "./columnSum.ts";

export const noNorm = defineOp<Record<string, never>>()({
  name: "noNorm",
  inputs: { x: "R D", gamma: "D", beta: "D?" },
  output: "R D",
  parameters: ({ R, D }) => [R, D],
  dispatches: ({ R, D }) => [{ entry: "noNorm", grid: elements(R * D) }],
  gradient: ({ dy, inputs: { x, gamma } }): GradientRule => ({
    x: () => noNorm({ x: dy, gamma }, {}),
    gamma: () => columnSum({ x: mul(dy, x) }, {}),
    beta: () => columnSum({ x: dy }, {}),
  }),
  formula: ({ inputs: { x, gamma, beta }, out, dims: { D } }) => {
    for (let i = 0; i < out.length; i++) out[i] = x[i] * gamma[i % D] + (beta ? beta[i % D] : 0);
  },
});
