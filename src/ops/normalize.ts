// y = x / max(‖x‖₂, ε) per row, as torch.nn.functional.normalize: the optional normalisation of BERT-PKD (arXiv:1908.09355, eq. 7).
//   dx = (dy − y·Σ dy·y)/‖x‖
// Two such rows are ‖u − v‖² = 2 − 2·cos apart.

import { rows } from "../program/dispatch.ts";
import { defineOp, f32Bits } from "../program/op.ts";
import type { Value } from "../program/value.ts";
import { mul } from "./binary.ts";
import { mse } from "./mse.ts";

type Epsilon = { epsilon: number };

const norm = (row: Float64Array) => Math.sqrt(row.reduce((sum, v) => sum + v * v, 0));

export const normalize = defineOp<Epsilon>()({
  name: "normalize",
  inputs: { x: "R D" },
  output: "R D",
  parameters: ({ R, D }, { epsilon }) => [R, D, f32Bits(epsilon as number)],
  dispatches: ({ R }) => [{ entry: "normalize", grid: rows(R) }],
  gradient: ({ dy, inputs: { x }, attributes }) => ({ x: () => normalizeGrad({ dy, x }, attributes as Epsilon) }),
  formula: ({ inputs: { x }, out, dims: { R, D }, attributes }) => {
    for (let r = 0; r < R; r++) {
      const row = x.subarray(r * D, (r + 1) * D);
      const length = Math.max(norm(row), attributes.epsilon as number);
      for (let d = 0; d < D; d++) out[r * D + d] = row[d] / length;
    }
  },
});

export const normalizeGrad = defineOp<Epsilon>()({
  name: "normalizeGrad",
  inputs: { dy: "R D", x: "R D" },
  output: "R D",
  parameters: ({ R, D }, { epsilon }) => [R, D, f32Bits(epsilon as number)],
  dispatches: ({ R }) => [{ entry: "normalizeGrad", grid: rows(R), bind: ["out", "x", "dy"] }],
  formula: ({ inputs: { dy, x }, out, dims: { R, D }, attributes }) => {
    for (let r = 0; r < R; r++) {
      const row = x.subarray(r * D, (r + 1) * D);
      const length = norm(row);
      const clamped = length <= (attributes.epsilon as number);
      const divisor = clamped ? (attributes.epsilon as number) : length;
      let dot = 0;
      for (let d = 0; d < D; d++) dot += (dy[r * D + d] * row[d]) / divisor;
      for (let d = 0; d < D; d++) out[r * D + d] = (dy[r * D + d] - (clamped ? 0 : (row[d] / divisor) * dot)) / divisor;
    }
  },
});

/** One number a row: w·(1 − cos(a, b)), DistilBERT's loss of hidden states (Sanh et al. 2019, arXiv:1910.01108). a, b: [R, D]. */
export function cosineDistance({ a, b, weight }: { a: Value; b: Value; weight: Value }): Value {
  const unit = (x: Value) => normalize({ x }, { epsilon: 1e-12 });
  const half = weight.trace.constant([a.shape[1] / 2]);
  return mse({ a: unit(a), b: unit(b), weight: mul(weight, half) }, {});
}
