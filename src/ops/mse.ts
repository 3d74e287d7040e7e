// Mean squared error over the last axis and over heads, one number a token row: loss[n] = w[n]·(1/(H·len))·Σ_h Σ_{d<len} (a − b)².
// len is the width of the rows, or with `offsets` the length of the row's own sequence: past it nothing is read. With w = 1/count the
// sum of the rows is PyTorch's MSELoss; on attention scores [N, H, L] with w = 1/(B·len) it is TinyBERT's (Jiao et al. 2020,
// arXiv:1909.10351, eq. 7, batch mean). Only `a`, the student's side, has a gradient.
//   da = dloss·w·2(a − b)/(H·len)

import { rows } from "../program/dispatch.ts";
import { type Dims, defineOp } from "../program/op.ts";
import { eachRow, raggedParameters } from "./softmax.ts";

type None = Record<string, never>;

const parameters = (dims: Dims) => raggedParameters(dims, dims.D);

export const mse = defineOp<None>()({
  name: "mse",
  inputs: { a: "R ... D", b: "R ... D", weight: "R", offsets: "u32 P?" },
  output: "R",
  parameters,
  dispatches: ({ R }) => [{ entry: "mse", grid: rows(R), bind: ["out", "offsets", "weight", "a", "b"] }],
  gradient: ({ dy, inputs: { a, b, weight, offsets } }) => ({
    a: () => mseGrad({ dy, a, b, weight, offsets: offsets ?? undefined }, {}),
  }),
  formula: (call) => {
    const { a, b, weight } = call.inputs;
    eachRow(call, call.dims.D, (n, at, length) => {
      if (weight[n] === 0) return;
      const factor = weight[n] / (call.dims.total * length);
      for (let i = at; i < at + length; i++) call.out[n] += factor * (a[i] - b[i]) ** 2;
    });
  },
});

export const mseGrad = defineOp<None>()({
  name: "mseGrad",
  inputs: { dy: "R", a: "R ... D", b: "R ... D", weight: "R", offsets: "u32 P?" },
  output: "R ... D",
  parameters,
  dispatches: ({ R, total }) => [
    { entry: "mseGrad", grid: rows(R * total), bind: ["out", "offsets", "weight", "a", "b", "dy"] },
  ],
  formula: (call) => {
    const { dy, a, b, weight } = call.inputs;
    eachRow(call, call.dims.D, (n, at, length) => {
      if (weight[n] === 0) return;
      const slope = (2 * dy[n] * weight[n]) / (call.dims.total * length);
      for (let i = at; i < at + length; i++) call.out[i] = slope * (a[i] - b[i]);
    });
  },
});
