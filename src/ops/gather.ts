// out[r] = table[ids[r]]: embeddings, and the picking of rows of anything. An id of NONE gives a zero row.
// The gradient needs no atomics: `order` lists the rows sorted by id (stable, NONE last), so that each table row is one sum in one order.

import { elements } from "../program/dispatch.ts";
import { defineOp } from "../program/op.ts";
import { NONE } from "../program/value.ts";

export const gather = defineOp<Record<string, never>>()({
  name: "gather",
  /** order is only read by the gradient; absent means that ids ascend already. */
  inputs: { table: "any V ...", ids: "u32 R", order: "u32 R?" },
  output: "R ...",
  parameters: ({ R, total, V }) => [R, total, V],
  dispatches: ({ R, total }) => [
    { entry: "gather", grid: elements(R * total), bind: ["out", "ids", "table"], bytes: 8 * R * total },
  ],
  gradient: ({ dy, inputs: { ids, order }, dims: { V } }) => ({
    table: () => gatherGrad({ dy, ids, order: order ?? undefined }, { V }),
  }),
  formula: ({ inputs: { table, ids }, out, dims: { R, total } }) => {
    for (let r = 0; r < R; r++)
      if (ids[r] !== NONE) out.set(table.subarray(ids[r] * total, (ids[r] + 1) * total), r * total);
  },
});

export const gatherGrad = defineOp<{ V: number }>()({
  name: "gatherGrad",
  inputs: { dy: "R ...", ids: "u32 R", order: "u32 R?" },
  output: "V ...",
  accumulates: true,
  parameters: ({ R, total, V }) => [R, total, V],
  dispatches: ({ R, total, V }, _, { accumulate }) => [
    ...(accumulate ? [] : [{ entry: "gatherGradClear", grid: elements(V * total), bind: ["out"] }]),
    { entry: "gatherGrad", grid: elements(R * total), bind: ["out", "ids", "dy", "order"], bytes: 12 * R * total },
  ],
  formula: ({ inputs: { dy, ids }, out, dims: { R, total } }) => {
    for (let r = 0; r < R; r++)
      if (ids[r] !== NONE) for (let d = 0; d < total; d++) out[ids[r] * total + d] += dy[r * total + d];
  },
});
