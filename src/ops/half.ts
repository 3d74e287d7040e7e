// out = x, times scale[0] if there is one, rounded to half precision (IEEE 754 binary16: 11 bits, 6·10⁻⁸ to 65504), ties to even. What
// is beyond becomes NaN, so that the update is refused. Half is what products read (Micikevicius et al. 2018, arXiv:1710.03740, "mixed
// precision"): x and the weight as they are, dy times the scale of the loss, lest small gradients become 0; each product of a dy is divided
// by the scale again, so that everything else, in f32, never sees it.

import { elements } from "../program/dispatch.ts";
import { defineOp } from "../program/op.ts";
import type { Value } from "../program/value.ts";

/** State: the scale of the loss, its inverse, for how many updates it has stood, and how many were refused (op lossScale). */
export const LOSS_SCALE = { name: "lossScale", shape: [4], dtype: "f32" } as const;

function round(x: number): number {
  const step = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(x)))) - 10);
  const whole = Math.floor(x / step);
  const rest = x / step - whole;
  const up = rest > 0.5 || (rest === 0.5 && whole % 2 !== 0);
  const y = (whole + (up ? 1 : 0)) * step;
  return x === 0 ? x : Math.abs(y) > 65504 ? Number.NaN : y;
}

export const half = defineOp<Record<string, never>>()({
  name: "half",
  inputs: { x: "...", scale: "4?" },
  output: "...",
  dtype: "f16",
  parameters: ({ total }) => [total],
  dispatches: ({ total }) => {
    const [width, narrow, wide] = total % 4 === 0 ? [4, "vec4<f16>", "vec4<f32>"] : [1, "f16", "f32"];
    const head = `enable f16;\nalias Narrow = ${narrow};\nalias Wide = ${wide};\nconst WIDTH = ${width}u;`;
    return [{ entry: "half", head, grid: elements(total / width) }];
  },
  passes: true,
  gradient: ({ dy }) => ({ x: () => dy }),
  formula: ({ inputs: { x, scale }, out }) => {
    for (let i = 0; i < x.length; i++) out[i] = round(x[i] * (scale ? scale[0] : 1));
  },
});

/** A gradient as products read it, and what divides them by the scale again. */
export function scaled(x: Value): { dy: Value; scale: Value } {
  const scale = x.trace.state(LOSS_SCALE.name, LOSS_SCALE.shape);
  return { dy: half({ x, scale }, {}), scale };
}
