// Inverted dropout (Srivastava et al. 2014) as a function of (seed, step, site, element), not a stored mask:
// element i is kept when threefry2x32(key = (seed, step), counter = (site, ⌊i/2⌋)) word i mod 2 is at least p·2³².
// Integer arithmetic only, so every executor drops the same elements; the gradient recomputes the mask.

import { elements } from "../program/dispatch.ts";
import { defineOp, f32Bits, type GradientRule } from "../program/op.ts";
import type { Scope } from "../program/scope.ts";
import type { Value } from "../program/value.ts";
import { hash32, threefry2x32 } from "../random.ts";

type Attributes = { p: number; site: number };

export const dropout = defineOp<Attributes>()({
  name: "dropout",
  inputs: { x: "...", seed: "u32 2" },
  output: "...",
  parameters: ({ total }, { p, site }) => [
    total,
    site as number,
    Math.floor((p as number) * 2 ** 32),
    f32Bits(1 / (1 - (p as number))),
  ],
  dispatches: ({ total }) => [{ entry: "dropout", grid: elements(total / 2) }],
  gradient: ({ dy, inputs: { seed }, attributes }): GradientRule => ({
    x: () => dropout({ x: dy, seed }, attributes as Attributes),
  }),
  formula: ({ inputs: { x, seed }, out, attributes }) => {
    const { p, site } = attributes as Attributes;
    const threshold = Math.floor(p * 2 ** 32);
    for (let i = 0; i < out.length; i++) {
      const bits = threefry2x32(seed[0], seed[1], site, i >> 1)[i & 1];
      out[i] = bits >= threshold ? x[i] / (1 - p) : 0;
    }
  },
});

/** Dropout at a place in a model; nothing when the scope is not training. The place's path is its site. */
export function dropoutAt(scope: Scope, place: string, x: Value, p: number): Value {
  if (!scope.training || p === 0) return x;
  const seed = scope.trace.input("dropout", [2], "u32");
  return dropout({ x, seed }, { p, site: hash32(scope.in(place).path) });
}
