// out = x, or out += x: how a result reaches persistent memory when its own op cannot write there.

import { defineOp } from "../program/op.ts";

export const copy = defineOp<Record<string, never>>()({
  name: "copy",
  inputs: { x: "..." },
  output: "...",
  accumulates: true,
  parameters: ({ total }) => [total],
  gradient: ({ dy }) => ({ x: () => dy }),
  formula: ({ inputs: { x }, out }) => {
    out.set(x);
  },
});
