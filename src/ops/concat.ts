// Rows side by side, out[n] = [a[n], b[n]], and a range of columns, out[n] = x[n, from … from + width), 0 where x has none: the gradient of
// both, its own with −from.

import { elements } from "../program/dispatch.ts";
import { defineOp, type GradientRule } from "../program/op.ts";

export const concat = defineOp<Record<string, never>>()({
  name: "concat",
  inputs: { a: "N D", b: "N E" },
  output: ({ N, D, E }) => [N, D + E],
  parameters: ({ N, D, E }) => [N, D, D, E],
  dispatches: ({ N, D, E }) => [{ entry: "concat", grid: elements(N * (D + E)) }],
  gradient: ({ dy, dims: { D, E } }): GradientRule => ({
    a: () => columns({ x: dy }, { from: 0, width: D }),
    b: () => columns({ x: dy }, { from: D, width: E }),
  }),
  formula: ({ inputs: { a, b }, out, dims: { N, D, E } }) => {
    for (let n = 0; n < N; n++) {
      out.set(a.subarray(n * D, (n + 1) * D), n * (D + E));
      out.set(b.subarray(n * E, (n + 1) * E), n * (D + E) + D);
    }
  },
});

export const columns = defineOp<{ from: number; width: number }>()({
  name: "columns",
  inputs: { x: "N D" },
  output: "N width",
  parameters: ({ N, D, from, width }) => [N, D, from, width],
  dispatches: ({ N, width }) => [{ entry: "columns", grid: elements(N * width), bind: ["out", "x"] }],
  gradient: ({ dy, dims: { D, from } }): GradientRule => ({ x: () => columns({ x: dy }, { from: -from, width: D }) }),
  formula: ({ inputs: { x }, out, dims: { N, D, from, width } }) => {
    for (let n = 0; n < N; n++)
      for (let d = 0; d < width; d++) out[n * width + d] = from + d >= 0 && from + d < D ? x[n * D + from + d] : 0;
  },
});
