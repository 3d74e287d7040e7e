// Attention on ragged rows: token n of sequence b attends to the tokens of its own sequence only, so there is no mask and no padding.
// Three products, closed under differentiation (heads h, head width d = D/H, s = scale, start = offsets[b]):
//   attentionPairs  S[n,h,j]        = s·Σ_d q[n,h,d]·k[start+j,h,d]
//   attentionMix    O[n,h,:]        = s·Σ_j p[n,h,j]·v[start+j,h,:]
//   attentionMixT   O[start+j,h,:]  = s·Σ_i p[start+i,h,j]·x[start+i,h,:]
// Maps are [N, H, L], L the longest sequence rounded up to 16; entries past a row's own length, and tail rows, are zero.
// Attention (Vaswani et al. 2017, eq. 1) is mix(softmax(pairs(q, k, 1/√d)), v); MiniLM's relations are softmax(pairs(v, v, 1/√d)).

import { LimbeckError } from "../errors.ts";
import { squares } from "../program/dispatch.ts";
import { type Attributes, type Dims, defineOp, type Formula, f32Bits, type GradientRule } from "../program/op.ts";

type Map = { H: number; L: number; scale: number };
type Mix = { scale: number };

function parameters({ N, D, H, L, P }: Dims, { scale }: Attributes): number[] {
  if (D % H !== 0) throw new LimbeckError("OP_SHAPE", `attention: ${H} heads do not divide ${D} columns`);
  if (L % 16 !== 0) throw new LimbeckError("OP_SHAPE", `attention: maps must be a multiple of 16 wide, not ${L}`);
  return [N, D, H, L, P - 1, f32Bits(scale as number)];
}

/** For each head, and for each sequence and the tail rows, squares of a [length, width]. */
const dispatch = (entry: string, width: number, { H, L, P }: Dims) => [{ entry, grid: squares(L, width, H, P) }];

/** Calls f for every pair (row i, column j) of every sequence and head d wide: rows n and m of the batch, p at [n, h, j]. */
function eachPair(
  { inputs, dims: { D, H, L, P }, attributes }: Formula<"offsets">,
  f: (p: number, n: number, m: number, s: number, d: number) => void,
): void {
  const d = D / H;
  const { offsets } = inputs;
  for (let b = 0; b + 1 < P; b++)
    for (let n = offsets[b]; n < offsets[b + 1]; n++)
      for (let h = 0; h < H; h++)
        for (let m = offsets[b]; m < offsets[b + 1]; m++)
          f((n * H + h) * L + m - offsets[b], n * D + h * d, m * D + h * d, attributes.scale as number, d);
}

export const attentionPairs = defineOp<Map>()({
  name: "attentionPairs",
  inputs: { q: "N D", k: "N D", offsets: "u32 P" },
  output: "N H L",
  parameters,
  dispatches: (dims) => dispatch("attentionPairs", dims.L, dims),
  gradient: ({ dy, inputs: { q, k, offsets }, attributes: { scale } }): GradientRule => ({
    q: () => attentionMix({ p: dy, v: k, offsets }, { scale: scale as number }),
    k: () => attentionMixT({ p: dy, x: q, offsets }, { scale: scale as number }),
  }),
  formula: (call) => {
    const { q, k } = call.inputs;
    eachPair(call, (p, n, m, s, d) => {
      for (let c = 0; c < d; c++) call.out[p] += s * q[n + c] * k[m + c];
    });
  },
});

export const attentionMix = defineOp<Mix>()({
  name: "attentionMix",
  inputs: { p: "N H L", v: "N D", offsets: "u32 P" },
  output: "N D",
  parameters,
  dispatches: (dims) => dispatch("attentionMix", dims.D / dims.H, dims),
  gradient: ({ dy, inputs: { p, v, offsets }, attributes: { scale }, dims: { H, L } }): GradientRule => ({
    p: () => attentionPairs({ q: dy, k: v, offsets }, { H, L, scale: scale as number }),
    v: () => attentionMixT({ p, x: dy, offsets }, { scale: scale as number }),
  }),
  formula: (call) => {
    eachPair(call, (p, n, m, s, d) => {
      for (let c = 0; c < d; c++) call.out[n + c] += s * call.inputs.p[p] * call.inputs.v[m + c];
    });
  },
});

export const attentionMixT = defineOp<Mix>()({
  name: "attentionMixT",
  inputs: { p: "N H L", x: "N D", offsets: "u32 P" },
  output: "N D",
  parameters,
  dispatches: (dims) => dispatch("attentionMixT", dims.D / dims.H, dims),
  gradient: ({ dy, inputs: { p, x, offsets }, attributes: { scale }, dims: { H, L } }): GradientRule => ({
    p: () => attentionPairs({ q: x, k: dy, offsets }, { H, L, scale: scale as number }),
    x: () => attentionMix({ p, v: dy, offsets }, { scale: scale as number }),
  }),
  formula: (call) => {
    eachPair(call, (p, n, m, s, d) => {
      for (let c = 0; c < d; c++) call.out[m + c] += s * call.inputs.p[p] * call.inputs.x[n + c];
    });
  },
});
