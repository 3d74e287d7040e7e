// y = (x − μ)/σ · γ + β over the last axis (Ba et al. 2016, arXiv:1607.06450); σ² is the biased variance plus ε.
// With x̂ = (x − μ)/σ and g = dy·γ:  dx = (g − mean(g) − x̂·mean(g·x̂))/σ   dγ = Σ_r dy·x̂   dβ = Σ_r dy
// The gradients recompute μ and σ from x: cheaper than keeping them.

import { columns, rows } from "../program/dispatch.ts";
import { defineOp, f32Bits } from "../program/op.ts";
import { columnSum } from "./columnSum.ts";

type Epsilon = { epsilon: number };

function standardise(x: Float64Array, r: number, D: number, epsilon: number): { hat: Float64Array; sigma: number } {
  const row = x.subarray(r * D, (r + 1) * D);
  const mean = row.reduce((sum, v) => sum + v, 0) / D;
  const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / D;
  const sigma = Math.sqrt(variance + epsilon);
  return { hat: row.map((v) => (v - mean) / sigma), sigma };
}

export const layerNorm = defineOp<Epsilon>()({
  name: "layerNorm",
  inputs: { x: "R D", gamma: "D", beta: "D" },
  output: "R D",
  parameters: ({ R, D }, { epsilon }) => [R, D, f32Bits(epsilon as number)],
  dispatches: ({ R }) => [{ entry: "layerNorm", grid: rows(R) }],
  gradient: ({ dy, inputs: { x, gamma }, attributes }) => ({
    x: () => layerNormGradX({ dy, x, gamma }, attributes as Epsilon),
    gamma: () => layerNormGradGamma({ dy, x }, attributes as Epsilon),
    beta: () => columnSum({ x: dy }, {}),
  }),
  formula: ({ inputs: { x, gamma, beta }, out, dims: { R, D }, attributes }) => {
    for (let r = 0; r < R; r++) {
      const { hat } = standardise(x, r, D, attributes.epsilon as number);
      for (let d = 0; d < D; d++) out[r * D + d] = hat[d] * gamma[d] + beta[d];
    }
  },
});

export const layerNormGradX = defineOp<Epsilon>()({
  name: "layerNormGradX",
  inputs: { dy: "R D", x: "R D", gamma: "D" },
  output: "R D",
  parameters: ({ R, D }, { epsilon }) => [R, D, f32Bits(epsilon as number)],
  dispatches: ({ R }) => [{ entry: "layerNormGradX", grid: rows(R), bind: ["out", "x", "gamma", "dy"] }],
  formula: ({ inputs: { dy, x, gamma }, out, dims: { R, D }, attributes }) => {
    for (let r = 0; r < R; r++) {
      const { hat, sigma } = standardise(x, r, D, attributes.epsilon as number);
      const g = hat.map((_, d) => dy[r * D + d] * gamma[d]);
      const mean = g.reduce((sum, v) => sum + v, 0) / D;
      const meanHat = g.reduce((sum, v, d) => sum + v * hat[d], 0) / D;
      for (let d = 0; d < D; d++) out[r * D + d] = (g[d] - mean - hat[d] * meanHat) / sigma;
    }
  },
});

export const layerNormGradGamma = defineOp<Epsilon>()({
  name: "layerNormGradGamma",
  inputs: { dy: "R D", x: "R D" },
  output: "D",
  accumulates: true,
  parameters: ({ R, D }, { epsilon }) => [R, D, f32Bits(epsilon as number)],
  dispatches: ({ R, D }) => [
    { entry: "layerNormStatistics", grid: rows(R), bind: ["scratch", "x"], scratch: 8 * R },
    { entry: "layerNormGradGamma", grid: columns(D), bind: ["out", "x", "scratch", "dy"] },
  ],
  formula: ({ inputs: { dy, x }, out, dims: { R, D }, attributes }) => {
    for (let r = 0; r < R; r++) {
      const { hat } = standardise(x, r, D, attributes.epsilon as number);
      for (let d = 0; d < D; d++) out[d] += dy[r * D + d] * hat[d];
    }
  },
});
