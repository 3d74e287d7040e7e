// out = x, or out += x: how a result reaches persistent memory when its own op cannot write there.

import { elements } from "../program/dispatch.ts";
import { defineOp } from "../program/op.ts";

export const copy = defineOp<Record<string, never>>()({
  name: "copy",
  inputs: { x: "..." },
  output: "...",
  accumulates: true,
  parameters: ({ total }) => [total],
  dispatches: ({ total }) => [{ entry: "copy", grid: elements(total) }],
  gradient: ({ dy }) => ({ x: () => dy }),
  formula: ({ inputs: { x }, out }) => {
    out.set(x);
  },
});
