// The gradient of an lstm's x. It runs against time, from the gates' sums z of all rows (z, h, c and the formulas: lstm.ts):
//   dh = dy_t + Wᵀ·dz_(t+1)    do = dh·tanh c    dc = dh·o·(1 − tanh² c) + f_(t+1)·dc_(t+1)    di = dc·g    df = dc·c_(t−1)    dg = dc·i
//   dz = dgate·(derivative of its σ or tanh)

import { LSTM_ROOM } from "../../assembly/layout.ts";
import { LSTM_WIDTH } from "../../shaders/layout.ts";
import { LimbeckError } from "../errors.ts";
import type { Grid } from "../program/dispatch.ts";
import { type Dims, defineOp, type Formula } from "../program/op.ts";

/** reverse: time runs from a sequence's last row to its first. */
export type Direction = { reverse: boolean };

/** A workgroup for each sequence, and one for the tail. */
export function grid({ H, P }: Dims): Grid {
  if (4 * H <= LSTM_WIDTH) return [P, 1, 1];
  throw new LimbeckError(
    "GPU_LIMIT",
    `lstm: ${H} units are more than the ${LSTM_WIDTH / 4} that a workgroup remembers`,
  );
}

/** All rows in the order of time, each with the row before and the row after it, −1 where there is none. */
export function inTime({
  inputs: { offsets },
  dims: { P },
  attributes,
}: Formula<"offsets">): [number, number, number][] {
  const step = attributes.reverse ? -1 : 1;
  return Array.from({ length: P - 1 }, (_, b) => {
    const [first, last] = [offsets[b], offsets[b + 1] - 1];
    const rows = Array.from({ length: last + 1 - first }, (_, i): [number, number, number] => {
      const n = attributes.reverse ? last - i : first + i;
      return [n, i === 0 ? -1 : n - step, first + i === last ? -1 : n + step];
    });
    return rows;
  }).flat();
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** i, f, g and o of unit u in row n. */
export const gates = (z: Float64Array, H: number, n: number, u: number) =>
  [sigmoid, sigmoid, Math.tanh, sigmoid].map((f, gate) => f(z[(4 * n + gate) * H + u]));

export const lstmGrad = defineOp<Direction>()({
  name: "lstmGrad",
  inputs: { dy: "N H", z: "N G", weight: "G H", offsets: "u32 P" },
  output: "N G",
  parameters: ({ N, H, P }, { reverse }) => [N, H, P - 1, Number(reverse)],
  scratch: ({ N, H, P }, threads) => 4 * (N * H + P * (H + 4) + 4 * H * H + threads * LSTM_ROOM),
  dispatches: (dims) => [
    {
      entry: "lstmGrad",
      grid: grid(dims),
      bind: ["out", "offsets", "scratch", "z", "dy", "weight"],
      scratch: 4 * dims.N * dims.H,
    },
  ],
  formula: (call) => {
    const {
      inputs: { dy, z, weight },
      out,
      dims: { H },
    } = call;
    const [c, dc] = [new Float64Array(dy.length), new Float64Array(dy.length)];
    const rows = inTime(call);
    for (const [n, before] of rows)
      for (let u = 0; u < H; u++) {
        const [i, f, g] = gates(z, H, n, u);
        c[n * H + u] = i * g + (before < 0 ? 0 : f * c[before * H + u]);
      }
    for (const [n, before, after] of rows.reverse())
      for (let u = 0; u < H; u++) {
        const at = n * H + u;
        let dh = dy[at];
        for (let j = 0; after >= 0 && j < 4 * H; j++) dh += weight[j * H + u] * out[4 * after * H + j];
        const [i, f, g, o] = gates(z, H, n, u);
        const t = Math.tanh(c[at]);
        dc[at] = dh * o * (1 - t * t) + (after < 0 ? 0 : gates(z, H, after, u)[1] * dc[after * H + u]);
        const df = before < 0 ? 0 : dc[at] * c[before * H + u];
        const dz = [dc[at] * g * i * (1 - i), df * f * (1 - f), dc[at] * i * (1 - g * g), dh * t * o * (1 - o)];
        dz.forEach((d, gate) => {
          out[(4 * n + gate) * H + u] = d;
        });
      }
  },
});
