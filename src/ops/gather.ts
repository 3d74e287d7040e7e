// out[r] = table[ids[r]]: embeddings, and the picking of [CLS] rows. An id of NONE gives a zero row.
// The gradient needs no atomics: `order` lists the rows sorted by id (stable, NONE last), so that each table row is one sum in one order.

import { elements } from "../program/dispatch.ts";
import { defineOp } from "../program/op.ts";
import { NONE } from "../program/value.ts";

export const gather = defineOp<Record<string, never>>()({
  name: "gather",
  /** order is only read by the gradient; absent means that ids ascend already. */
  inputs: { table: "V D", ids: "u32 R", order: "u32 R?" },
  output: "R D",
  parameters: ({ R, D, V }) => [R, D, V],
  dispatches: ({ R, D }) => [{ entry: "gather", grid: elements(R * D), bind: ["out", "ids", "table"] }],
  gradient: ({ dy, inputs: { ids, order }, dims: { V } }) => ({
    table: () => gatherGrad({ dy, ids, order: order ?? undefined }, { V }),
  }),
  formula: ({ inputs: { table, ids }, out, dims: { R, D } }) => {
    for (let r = 0; r < R; r++) if (ids[r] !== NONE) out.set(table.subarray(ids[r] * D, (ids[r] + 1) * D), r * D);
  },
});

export const gatherGrad = defineOp<{ V: number }>()({
  name: "gatherGrad",
  inputs: { dy: "R D", ids: "u32 R", order: "u32 R?" },
  output: "V D",
  accumulates: true,
  parameters: ({ R, D, V }) => [R, D, V],
  dispatches: ({ R, D, V }, _, { accumulate }) => [
    ...(accumulate ? [] : [{ entry: "gatherGradClear", grid: elements(V * D), bind: ["out"] }]),
    { entry: "gatherGrad", grid: elements(R * D), bind: ["out", "ids", "dy", "order"] },
  ],
  formula: ({ inputs: { dy, ids }, out, dims: { R, D } }) => {
    for (let r = 0; r < R; r++) if (ids[r] !== NONE) for (let d = 0; d < D; d++) out[ids[r] * D + d] += dy[r * D + d];
  },
});
