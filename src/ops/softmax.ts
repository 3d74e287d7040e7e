// y = softmax(x/T) over the last axis; on attention maps only over a row's own length (the rest, and tail rows, are zero). bySequence: their
// rows are those of the sequences, not of tokens.
//   dx = y·(dy − Σ dy·y)/T

import { rows } from "../program/dispatch.ts";
import { type Attributes, type Dims, defineOp, type Formula } from "../program/op.ts";

type Kind = { bySequence?: true };

/** What the kernels of ragged rows are told: R token rows of so many heads, each `width` wide, and B (0 without offsets). */
export const raggedParameters = ({ R, total, P }: Dims, width: number): number[] => [R, total, width, P ? P - 1 : 0];

const parameters = (dims: Dims, { bySequence }: Attributes) => [
  ...raggedParameters(dims, dims.L),
  Number(bySequence ?? false),
];

/** Calls f with the token row, the place and the length of every row that has one: all of it, or with offsets its sequence's. */
export function eachRow(
  { inputs: { offsets }, dims: { R, total, P }, attributes: { bySequence } }: Formula<"offsets">,
  width: number,
  f: (n: number, at: number, length: number) => void,
): void {
  for (let b = 0; b + 1 < (offsets ? P : 2); b++) {
    const length = offsets ? offsets[b + 1] - offsets[b] : width;
    const [start, end] = bySequence ? [b, b + 1] : offsets ? [offsets[b], offsets[b + 1]] : [0, R];
    for (let r = start * total; r < end * total; r++) f(Math.floor(r / total), r * width, length);
  }
}

export const softmax = defineOp<Kind>()({
  name: "softmax",
  inputs: { x: "R ... L", offsets: "u32 P?", temperature: "1?" },
  output: "R ... L",
  parameters,
  dispatches: ({ R, total }) => [
    { entry: "softmax", grid: rows(R * total), bind: ["out", "offsets", "temperature", "x"] },
  ],
  gradient: ({ dy, y, inputs: { offsets, temperature }, attributes }) => ({
    x: () => softmaxGrad({ dy, y, offsets: offsets ?? undefined, temperature: temperature ?? undefined }, attributes),
  }),
  formula: (call) => {
    const { x, temperature } = call.inputs;
    const T = temperature ? temperature[0] : 1;
    eachRow(call, call.dims.L, (_, at, length) => {
      const row = x.subarray(at, at + length);
      const most = Math.max(...row);
      const e = row.map((v) => Math.exp((v - most) / T));
      const sum = e.reduce((a, b) => a + b, 0);
      for (let j = 0; j < length; j++) call.out[at + j] = e[j] / sum;
    });
  },
});

export const softmaxGrad = defineOp<Kind>()({
  name: "softmaxGrad",
  inputs: { dy: "R ... L", y: "R ... L", offsets: "u32 P?", temperature: "1?" },
  output: "R ... L",
  parameters,
  dispatches: ({ R, total }) => [
    { entry: "softmaxGrad", grid: rows(R * total), bind: ["out", "offsets", "temperature", "dy", "y"] },
  ],
  formula: (call) => {
    const { dy, y, temperature } = call.inputs;
    const T = temperature ? temperature[0] : 1;
    eachRow(call, call.dims.L, (_, at, length) => {
      let dot = 0;
      for (let j = at; j < at + length; j++) dot += dy[j] * y[j];
      for (let j = at; j < at + length; j++) call.out[j] = (y[j] * (dy[j] - dot)) / T;
    });
  },
});
