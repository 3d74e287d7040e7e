// out = √(Σ g²) over all elements of all tensors: what gradient clipping divides by, and how a NaN anywhere is noticed.

import { defineOp } from "../program/op.ts";
import { sizeOf, type Value } from "../program/value.ts";

/** Elements summed by one thread in one go: the fixed leaves of the sum. */
const CHUNK = 4096;

export const globalNorm = defineOp<Record<string, never>>()({
  name: "globalNorm",
  inputs: { tensors: "*" },
  output: "1",
  parameters: (_, __, [tensors]) => (tensors as Value[]).map(sizeOf),
  scratch: (_, __, [tensors]) => (tensors as Value[]).reduce((sum, t) => sum + 4 * Math.ceil(sizeOf(t) / CHUNK), 0),
  formula: ({ inputs: { tensors }, out }) => {
    let sum = 0;
    for (const g of tensors as unknown as Float64Array[]) for (const v of g) sum += v * v;
    out[0] = Math.sqrt(sum);
  },
});
