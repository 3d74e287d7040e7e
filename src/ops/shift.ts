// Rows move along their sequences: out[n] = x[n − by] where row n − by belongs to the same sequence, else 0; tail rows are 0.
// What a row's neighbour was: the previous state of a recurrence (by = 1, or −1 where time runs backwards). The gradient moves back.

import { elements } from "../program/dispatch.ts";
import { defineOp, type GradientRule } from "../program/op.ts";

export const shift = defineOp<{ by: number }>()({
  name: "shift",
  inputs: { x: "N D", offsets: "u32 P" },
  output: "N D",
  parameters: ({ N, D, P }, { by }) => [N, D, P - 1, (by as number) >>> 0],
  dispatches: ({ N, D }) => [{ entry: "shift", grid: elements(N * D), bind: ["out", "offsets", "x"] }],
  gradient: ({ dy, inputs: { offsets }, attributes }): GradientRule => ({
    x: () => shift({ x: dy, offsets }, { by: -(attributes.by as number) }),
  }),
  formula: ({ inputs: { x, offsets }, out, dims: { D, P }, attributes }) => {
    const by = attributes.by as number;
    for (let b = 0; b + 1 < P; b++)
      for (let n = offsets[b]; n < offsets[b + 1]; n++)
        if (n - by >= offsets[b] && n - by < offsets[b + 1]) out.set(x.subarray((n - by) * D, (n - by + 1) * D), n * D);
  },
});
