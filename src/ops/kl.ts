// Kullback–Leibler divergence of the student from soft targets t (probabilities), averaged over heads, one number a token row:
//   loss[n] = w[n]·(1/H)·Σ_h Σ_c t·(log t − log softmax(z/T)),  0·log 0 = 0
// The soft-label term of Hinton et al. 2015 (arXiv:1503.02531) without its T², which the recipe's weight states. With `offsets` only the
// first len entries of a row count, len the length of its sequence: on [N, H, L] with w = 1/(B·len) MiniLM's (Wang et al. 2020,
// arXiv:2002.10957, eq. 4). The cross-entropy −Σ t·log softmax(z/T) is more by the entropy of t; the gradient is the same.
//   dz = dloss·w·(softmax(z/T)·Σt − t)/(H·T)

import { rows } from "../program/dispatch.ts";
import { type Attributes, type Dims, defineOp, type OpInputs } from "../program/op.ts";
import type { Value } from "../program/value.ts";
import { eachRow, raggedParameters } from "./softmax.ts";

/** crossEntropy: the entropy of the targets is not subtracted. */
type Form = Record<string, never> | { crossEntropy: true };

const inputs = { targets: "R ... C", logits: "R ... C", temperature: "1", weight: "R", offsets: "u32 P?" } as const;
const bind = ["out", "offsets", "weight", "temperature", "targets", "logits"];
const parameters = (dims: Dims, { crossEntropy }: Attributes) => [
  ...raggedParameters(dims, dims.C),
  Number(!!crossEntropy),
];

function logSoftmax(z: Float64Array, T: number): Float64Array {
  const most = Math.max(...z);
  const log = Math.log(z.reduce((sum, v) => sum + Math.exp((v - most) / T), 0));
  return z.map((v) => (v - most) / T - log);
}

export const kl = defineOp<Form>()({
  name: "kl",
  inputs,
  output: "R",
  parameters,
  dispatches: ({ R }) => [{ entry: "kl", grid: rows(R), bind }],
  gradient: ({ dy, inputs: { targets, logits, temperature, weight, offsets } }) => ({
    logits: () => klGrad({ dy, targets, logits, temperature, weight, offsets: offsets ?? undefined }, {}),
  }),
  formula: (call) => {
    const { targets, logits, temperature, weight } = call.inputs;
    eachRow(call, call.dims.C, (n, at, length) => {
      if (weight[n] === 0) return;
      const log = logSoftmax(logits.subarray(at, at + length), temperature[0]);
      for (let c = 0; c < length; c++) {
        const t = targets[at + c];
        const own = call.attributes.crossEntropy ? 0 : Math.log(t);
        if (t > 0) call.out[n] += (weight[n] * t * (own - log[c])) / call.dims.total;
      }
    });
  },
});

/** Cross-entropy with soft targets, as TinyBERT's prediction loss (arXiv:1909.10351, eq. 10). */
export const softCrossEntropy = (given: OpInputs<typeof inputs>): Value => kl(given, { crossEntropy: true });

export const klGrad = defineOp<Record<string, never>>()({
  name: "klGrad",
  inputs: { dy: "R", ...inputs },
  output: "R ... C",
  parameters,
  dispatches: ({ R, total }) => [{ entry: "klGrad", grid: rows(R * total), bind: [...bind, "dy"] }],
  formula: (call) => {
    const { dy, targets, logits, temperature, weight } = call.inputs;
    eachRow(call, call.dims.C, (n, at, length) => {
      if (weight[n] === 0) return;
      const t = targets.subarray(at, at + length);
      const log = logSoftmax(logits.subarray(at, at + length), temperature[0]);
      const sum = t.reduce((a, b) => a + b, 0);
      const slope = (dy[n] * weight[n]) / (call.dims.total * temperature[0]);
      for (let c = 0; c < length; c++) call.out[at + c] = slope * (Math.exp(log[c]) * sum - t[c]);
    });
  },
});
