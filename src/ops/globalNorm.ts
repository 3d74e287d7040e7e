// out = √(Σ g²) over all elements of all tensors: what gradient clipping divides by, and how a NaN anywhere is noticed.

import { CHUNK } from "../../shaders/layout.ts";
import { type Dispatch, spread } from "../program/dispatch.ts";
import { defineOp } from "../program/op.ts";
import { sizeOf, type Value } from "../program/value.ts";

/** Partial sums of the tensors together. Each is over CHUNK elements: the fixed leaves of the sum. */
const partsOf = (tensors: readonly Value[]) => tensors.reduce((sum, t) => sum + Math.ceil(sizeOf(t) / CHUNK), 0);

export const globalNorm = defineOp<Record<string, never>>()({
  name: "globalNorm",
  inputs: { tensors: "*" },
  output: "1",
  parameters: (_, __, [tensors]) => (tensors as Value[]).map(sizeOf),
  scratch: (_, __, [tensors]) => 4 * partsOf(tensors as Value[]),
  dispatches: (_, __, { inputs: [tensors] }) => {
    const all = tensors as Value[];
    const parts = all.map((t, i): Dispatch => {
      const parameters = [sizeOf(t), partsOf(all.slice(0, i))];
      return { entry: "globalNormPart", grid: spread(partsOf([t])), bind: ["scratch", `tensors.${i}`], parameters };
    });
    const [count, scratch] = [partsOf(all), 4 * partsOf(all)];
    return [...parts, { entry: "globalNorm", grid: [1, 1, 1], bind: ["scratch", "out"], parameters: [count], scratch }];
  },
  formula: ({ inputs: { tensors }, out }) => {
    let sum = 0;
    for (const g of tensors as unknown as Float64Array[]) for (const v of g) sum += v * v;
    out[0] = Math.sqrt(sum);
  },
});
