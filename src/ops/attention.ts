// Attention on ragged rows: token n of sequence b attends to the tokens of its own sequence only, so there is no mask and no padding.
// Three products, closed under differentiation (heads h, head width d = D/H, s = scale, start = offsets[b]):
//   attentionPairs  S[n,h,j]        = s·Σ_d q[n,h,d]·k[start+j,h,d]
//   attentionMix    O[n,h,:]        = s·Σ_j p[n,h,j]·v[start+j,h,:]
//   attentionMixT   O[start+j,h,:]  = s·Σ_i p[start+i,h,j]·x[start+i,h,:]
// Maps are [M, H, L], L the longest sequence rounded up to 16; entries past a row's own length, and tail rows, are zero. M = N, or with
// bySequence M = B: one token of each sequence attends, and row b is that of sequence b.
// Attention (Vaswani et al. 2017, eq. 1) is mix(softmax(pairs(q, k, 1/√d)), v); MiniLM's relations are softmax(pairs(v, v, 1/√d)).

import { LimbeckError } from "../errors.ts";
import { squares } from "../program/dispatch.ts";
import { type Attributes, type Dims, defineOp, type Formula, f32Bits, type GradientRule } from "../program/op.ts";

type Mix = { scale: number; bySequence?: true };

/** What the kernels are told, `rows` of the output, and their grid: for each head, each sequence and the tail, squares of [length, width]. */
function kernel(entry: string, rows: "M" | "N", width: (dims: Dims) => number) {
  const parameters = (dims: Dims, { scale, bySequence }: Attributes): number[] => {
    const { M, N, D, H, L, P } = dims;
    const wanted = bySequence ? P - 1 : N;
    if (M !== wanted) throw new LimbeckError("OP_SHAPE", `attention: ${M} rows attend where ${wanted} should`);
    if (D % H !== 0) throw new LimbeckError("OP_SHAPE", `attention: ${H} heads do not divide ${D} columns`);
    if (L % 16 !== 0) throw new LimbeckError("OP_SHAPE", `attention: maps must be a multiple of 16 wide, not ${L}`);
    return [dims[rows], D, H, L, P - 1, f32Bits(scale as number), Number(bySequence ?? false)];
  };
  const dispatches = (dims: Dims, { bySequence }: Attributes) => [
    { entry, grid: squares(bySequence && rows === "M" ? 1 : dims.L, width(dims), dims.H, dims.P) },
  ];
  return { name: entry, parameters, dispatches };
}

/** Calls f for every pair (row i, column j) of every sequence and head d wide: rows n and m, p at [n, h, j]. */
function eachPair(
  { inputs: { offsets }, dims: { D, H, L, P }, attributes: { scale, bySequence } }: Formula<"offsets">,
  f: (p: number, n: number, m: number, s: number, d: number) => void,
): void {
  const d = D / H;
  for (let b = 0; b + 1 < P; b++) {
    const [first, end] = bySequence ? [b, b + 1] : [offsets[b], offsets[b + 1]];
    for (let n = first; n < end; n++)
      for (let h = 0; h < H; h++)
        for (let m = offsets[b]; m < offsets[b + 1]; m++)
          f((n * H + h) * L + m - offsets[b], n * D + h * d, m * D + h * d, scale as number, d);
  }
}

export const attentionPairs = defineOp<Mix & { H: number; L: number }>()({
  ...kernel("attentionPairs", "M", ({ L }) => L),
  inputs: { q: "M D", k: "N D", offsets: "u32 P" },
  output: "M H L",
  gradient: ({ dy, inputs: { q, k, offsets }, attributes, dims: { N } }): GradientRule => ({
    q: () => attentionMix({ p: dy, v: k, offsets }, attributes as Mix),
    k: () => attentionMixT({ p: dy, x: q, offsets }, { ...(attributes as Mix), N }),
  }),
  formula: (call) => {
    const { q, k } = call.inputs;
    eachPair(call, (p, n, m, s, d) => {
      for (let c = 0; c < d; c++) call.out[p] += s * q[n + c] * k[m + c];
    });
  },
});

export const attentionMix = defineOp<Mix>()({
  ...kernel("attentionMix", "M", ({ D, H }) => D / H),
  inputs: { p: "M H L", v: "N D", offsets: "u32 P" },
  output: "M D",
  gradient: ({ dy, inputs: { p, v, offsets }, attributes, dims: { H, L, N } }): GradientRule => ({
    p: () => attentionPairs({ q: dy, k: v, offsets }, { ...(attributes as Mix), H, L }),
    v: () => attentionMixT({ p, x: dy, offsets }, { ...(attributes as Mix), N }),
  }),
  formula: (call) =>
    eachPair(call, (p, n, m, s, d) => {
      for (let c = 0; c < d; c++) call.out[n + c] += s * call.inputs.p[p] * call.inputs.v[m + c];
    }),
});

export const attentionMixT = defineOp<Mix & { N: number }>()({
  ...kernel("attentionMixT", "N", ({ D, H }) => D / H),
  inputs: { p: "M H L", x: "M D", offsets: "u32 P" },
  output: "N D",
  gradient: ({ dy, inputs: { p, x, offsets }, attributes, dims: { H, L } }): GradientRule => ({
    p: () => attentionPairs({ q: x, k: dy, offsets }, { ...(attributes as Mix), H, L }),
    x: () => attentionMix({ p, v: dy, offsets }, attributes as Mix),
  }),
  formula: (call) =>
    eachPair(call, (p, n, m, s, d) => {
      for (let c = 0; c < d; c++) call.out[m + c] += s * call.inputs.p[p] * call.inputs.x[n + c];
    }),
});
