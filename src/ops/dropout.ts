// Inverted dropout (Srivastava et al. 2014) as a function of (seed, step, site, element), not a stored mask:
// element i is kept when threefry2x32(key = (seed, step), counter = (site, ⌊i/2⌋)) word i mod 2 is at least p·2³².
// With `rows`, x is some rows of a whole, which lose what they would lose there; a row of NONE becomes zero.
// Integer arithmetic only, so every executor drops the same elements; the gradient recomputes the mask.

import { elements } from "../program/dispatch.ts";
import { defineOp, f32Bits, type GradientRule } from "../program/op.ts";
import type { Scope } from "../program/scope.ts";
import { NONE, type Value } from "../program/value.ts";
import { hash32, threefry2x32 } from "../random.ts";

type Attributes = { p: number; site: number };

export const dropout = defineOp<Attributes>()({
  name: "dropout",
  inputs: { x: "R ...", seed: "u32 2", rows: "u32 R?" },
  output: "R ...",
  parameters: ({ R, total }, { p, site }) => [
    R,
    total,
    site as number,
    Math.floor((p as number) * 2 ** 32),
    f32Bits(1 / (1 - (p as number))),
  ],
  dispatches: ({ R, total }) => [{ entry: "dropout", grid: elements((R * total) / 2) }],
  gradient: ({ dy, inputs: { seed, rows }, attributes }): GradientRule => ({
    x: () => dropout({ x: dy, seed, rows: rows ?? undefined }, attributes as Attributes),
  }),
  formula: ({ inputs: { x, seed, rows }, out, dims: { R, total }, attributes }) => {
    const { p, site } = attributes as Attributes;
    const threshold = Math.floor(p * 2 ** 32);
    for (let r = 0; r < R; r++) {
      const row = rows?.[r] ?? r;
      for (let c = 0; c < total && row !== NONE; c++) {
        const i = row * total + c;
        const bits = threefry2x32(seed[0], seed[1], site, i >> 1)[i & 1];
        out[r * total + c] = bits >= threshold ? x[r * total + c] / (1 - p) : 0;
      }
    }
  },
});

/** Dropout at a place in a model, of all its rows or some; nothing when the scope is not training. The place's path is its site. */
export function dropoutAt(scope: Scope, place: string, x: Value, p: number, rows?: Value): Value {
  if (!scope.training || p === 0) return x;
  const seed = scope.trace.input("dropout", [2], "u32");
  return dropout({ x, seed, rows }, { p, site: hash32(scope.in(place).path) });
}
