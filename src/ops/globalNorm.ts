// out = √(Σ g²) over all elements of all tensors: what gradient clipping divides by, and how a NaN anywhere is noticed.

import { CHUNK } from "../../shaders/layout.ts";
import { type Dispatch, spread } from "../program/dispatch.ts";
import { defineOp } from "../program/op.ts";
import { sizeOf, type Value } from "../program/value.ts";

/** Tensors of one dispatch, with scratch as many as a kernel may bind for certain, and one less. */
const TENSORS = 6;

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
    const dispatches: Dispatch[] = [];
    for (let first = 0; first < all.length; first += TENSORS) {
      const some = Array.from({ length: TENSORS }, (_, i) => all[first + i]);
      const grid = spread(partsOf(all.slice(first, first + TENSORS)));
      const parameters = [partsOf(all.slice(0, first)), ...some.map((t) => (t ? sizeOf(t) : 0))];
      const bind = ["scratch", ...some.map((t, i) => (t ? `tensors.${first + i}` : "nothing"))];
      dispatches.push({ entry: "globalNormPart", grid, bind, parameters });
    }
    const [count, scratch] = [partsOf(all), 4 * partsOf(all)];
    return [
      ...dispatches,
      { entry: "globalNorm", grid: [1, 1, 1], bind: ["scratch", "out"], parameters: [count], scratch },
    ];
  },
  formula: ({ inputs: { tensors }, out }) => {
    let sum = 0;
    for (const g of tensors as unknown as Float64Array[]) for (const v of g) sum += v * v;
    out[0] = Math.sqrt(sum);
  },
});
