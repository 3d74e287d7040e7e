// Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000) over each sequence, as PyTorch's nn.LSTM. x holds
// the input's share of the gates, W_ih·input + b_ih + b_hh, one product for all rows; h and c begin at 0; tail rows are 0.
//   [i, f, g, o] = z = x_t + W·h_(t−1)    i, f, o through σ, g through tanh    c_t = f·c_(t−1) + i·g    h_t = o·tanh c_t
// The gradient makes z of all rows anew from h, again one product; then dx = dz (lstmGrad) and dW = Σ dz_t·h_(t−1)ᵀ.

import { LSTM_ROOM } from "../../assembly/layout.ts";
import { LimbeckError } from "../errors.ts";
import { elements } from "../program/dispatch.ts";
import { defineOp, type GradientRule } from "../program/op.ts";
import type { Value } from "../program/value.ts";
import { add } from "./binary.ts";
import { type Direction, gates, grid, inTime, lstmGrad } from "./lstmGrad.ts";
import { linear, matmul } from "./matmul.ts";
import { shift } from "./shift.ts";

export const lstm = defineOp<Direction>()({
  name: "lstm",
  inputs: { x: "N G", weight: "G H", offsets: "u32 P" },
  output: ({ N, G, H }) => {
    if (G === 4 * H) return [N, H];
    throw new LimbeckError("OP_SHAPE", `lstm: weight must be [4·units, units] but is [${G}, ${H}]`);
  },
  parameters: ({ N, H, P }, { reverse }) => [N, H, P - 1, Number(reverse)],
  scratch: ({ H, P }, threads) => 4 * (P * (H + 4) + threads * LSTM_ROOM),
  dispatches: (dims) => [
    { entry: "lstmWeight", grid: elements(dims.G * dims.H), bind: ["nothing", "nothing", "scratch", "weight"] },
    { entry: "lstm", grid: grid(dims), bind: ["out", "offsets", "scratch", "x"], scratch: 4 * dims.G * dims.H },
  ],
  gradient: ({ dy, y, inputs: { x, weight, offsets }, attributes }): GradientRule => {
    const reverse = attributes.reverse as boolean;
    let made: { h: Value; dz: Value } | undefined;
    const make = () => {
      if (made) return made;
      const h = shift({ x: y, offsets }, { by: reverse ? -1 : 1 });
      const z = add(linear(h, weight), x);
      made = { h, dz: lstmGrad({ dy, z, weight, offsets }, { reverse }) };
      return made;
    };
    return {
      x: () => make().dz,
      weight: () => matmul({ a: make().dz, b: make().h }, { transposeA: true, transposeB: false }),
    };
  },
  formula: (call) => {
    const { inputs, out, dims } = call;
    const H = dims.H;
    const z = inputs.x.slice();
    const c = new Float64Array(out.length);
    for (const [n, before] of inTime(call))
      for (let u = 0; u < H; u++) {
        if (before >= 0)
          for (let j = u; j < 4 * H; j += H)
            for (let k = 0; k < H; k++) z[4 * n * H + j] += inputs.weight[j * H + k] * out[before * H + k];
        const [i, f, g, o] = gates(z, H, n, u);
        c[n * H + u] = i * g + (before < 0 ? 0 : f * c[before * H + u]);
        out[n * H + u] = o * Math.tanh(c[n * H + u]);
      }
  },
});
