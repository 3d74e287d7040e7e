// y = softmax(x/T) over the last axis; on attention maps only over a row's own length (the rest, and tail rows, are zero).
//   dx = y·(dy − Σ dy·y)/T

import { rows } from "../program/dispatch.ts";
import { type Dims, defineOp, type Formula } from "../program/op.ts";

type None = Record<string, never>;

const parameters = ({ front, total, L, P }: Dims) => [front, total / front, L, P === undefined ? 0 : P - 1];

/** Calls f with the place and the length of every row that has one. */
function eachRow(call: Formula<"offsets">, f: (at: number, length: number) => void): void {
  const { front, total, L, P } = call.dims;
  const { offsets } = call.inputs;
  const heads = total / front;
  if (!offsets) for (let r = 0; r < total; r++) f(r * L, L);
  else
    for (let b = 0; b + 1 < P; b++)
      for (let r = offsets[b] * heads; r < offsets[b + 1] * heads; r++) f(r * L, offsets[b + 1] - offsets[b]);
}

export const softmax = defineOp<None>()({
  name: "softmax",
  inputs: { x: "... L", offsets: "u32 P?", temperature: "1?" },
  output: "... L",
  parameters,
  dispatches: ({ total }) => [{ entry: "softmax", grid: rows(total), bind: ["out", "offsets", "temperature", "x"] }],
  gradient: ({ dy, y, inputs: { offsets, temperature } }) => ({
    x: () => softmaxGrad({ dy, y, offsets: offsets ?? undefined, temperature: temperature ?? undefined }, {}),
  }),
  formula: (call) => {
    const { x, temperature } = call.inputs;
    const T = temperature ? temperature[0] : 1;
    eachRow(call, (at, length) => {
      const row = x.subarray(at, at + length);
      const most = Math.max(...row);
      const e = row.map((v) => Math.exp((v - most) / T));
      const sum = e.reduce((a, b) => a + b, 0);
      for (let j = 0; j < length; j++) call.out[at + j] = e[j] / sum;
    });
  },
});

export const softmaxGrad = defineOp<None>()({
  name: "softmaxGrad",
  inputs: { dy: "... L", y: "... L", offsets: "u32 P?", temperature: "1?" },
  output: "... L",
  parameters,
  dispatches: ({ total }) => [
    { entry: "softmaxGrad", grid: rows(total), bind: ["out", "offsets", "temperature", "dy", "y"] },
  ],
  formula: (call) => {
    const { dy, y, temperature } = call.inputs;
    const T = temperature ? temperature[0] : 1;
    eachRow(call, (at, length) => {
      let dot = 0;
      for (let j = at; j < at + length; j++) dot += dy[j] * y[j];
      for (let j = at; j < at + length; j++) call.out[j] = (y[j] * (dy[j] - dot)) / T;
    });
  },
});
