// C = op(A)·op(B)·scale[1] + bias, op(X) = X or Xᵀ, without scale (op half) and bias where there is none. The linear layer of Hugging Face files is y = x·Wᵀ + b with W [out, in].
//   dA = dC·op(B)ᵀ   dB = op(A)ᵀ·dC   dbias = Σ rows of dC

import { MATMUL_SCRATCH } from "../../assembly/layout.ts";
import { cut } from "../../shaders/tiles.ts";
import { LimbeckError } from "../errors.ts";
import { elements } from "../program/dispatch.ts";
import { defineOp, type GradientRule } from "../program/op.ts";
import type { Value } from "../program/value.ts";
import { columnSum } from "./columnSum.ts";
import { scaled } from "./half.ts";

type Transposes = { transposeA: boolean; transposeB: boolean };

function sizes(
  dims: Readonly<Record<string, number>>,
  { transposeA, transposeB }: Readonly<Record<string, unknown>>,
): [M: number, N: number, K: number] {
  const [M, K] = transposeA ? [dims.Q, dims.P] : [dims.P, dims.Q];
  const [inner, N] = transposeB ? [dims.S, dims.R] : [dims.R, dims.S];
  if (inner !== K)
    throw new LimbeckError(
      "OP_SHAPE",
      `matmul: the inner dimensions differ: op(a) is [${M}, ${K}], op(b) is [${inner}, ${N}]`,
    );
  return [M, N, K];
}

export const matmul = defineOp<Transposes>()({
  name: "matmul",
  inputs: { a: "float P Q", b: "float R S", bias: "O?", scale: "4?" },
  output: (dims, attributes) => {
    const [M, N] = sizes(dims, attributes);
    if (dims.O !== undefined && dims.O !== N)
      throw new LimbeckError("OP_SHAPE", `matmul: bias is [${dims.O}] but the product has ${N} columns`);
    return [M, N];
  },
  dtype: "f32",
  accumulates: true,
  parameters: (dims, of) => [...sizes(dims, of), Number(of.transposeA), Number(of.transposeB)],
  dispatches: (dims, attributes, { inputs: [a, , bias, scale] }) => {
    if (bias && scale) throw new LimbeckError("OP_INPUT", "matmul: on a GPU bias and scale have one place");
    const [M, N, K] = sizes(dims, attributes);
    const half = (a as Value).dtype === "f16";
    const { parts, ...tiled } = cut({ M, N, K, half, scaled: scale !== null, ...(attributes as Transposes) });
    const last = scale ? "scale" : "bias";
    const product = { entry: "matmul", ...tiled, bind: ["out", "a", "b", last] };
    if (parts === 1) return [product];
    const [inParts, scratch] = [["scratch", "a", "b", "nothing"], 4 * M * N * parts];
    const { head, parameters } = tiled;
    const bind = ["out", "scratch", "nothing", last];
    return [
      { ...product, bind: inParts, scratch },
      { entry: "matmulSum", head, grid: elements(M * N), parameters, bind },
    ];
  },
  scratch: (_, threads) => threads * MATMUL_SCRATCH,
  gradient: ({ dy: whole, inputs: { a, b }, attributes }): GradientRule => {
    const { transposeA, transposeB } = attributes as Transposes;
    const { dy, scale } = a.dtype === "f16" ? scaled(whole) : { dy: whole };
    return {
      a: () =>
        transposeA
          ? matmul({ a: b, b: dy, scale }, { transposeA: transposeB, transposeB: true })
          : matmul({ a: dy, b, scale }, { transposeA: false, transposeB: !transposeB }),
      b: () =>
        transposeB
          ? matmul({ a: dy, b: a, scale }, { transposeA: true, transposeB: transposeA })
          : matmul({ a, b: dy, scale }, { transposeA: !transposeA, transposeB: false }),
      bias: () => columnSum({ x: whole }, {}),
    };
  },
  formula: ({ inputs: { a, b, bias, scale }, out, dims, attributes }) => {
    const [M, N, K] = sizes(dims, attributes);
    for (let i = 0; i < M; i++)
      for (let j = 0; j < N; j++) {
        let sum = 0;
        for (let k = 0; k < K; k++)
          sum += a[attributes.transposeA ? k * M + i : i * K + k] * b[attributes.transposeB ? j * K + k : k * N + j];
        out[i * N + j] = sum * (scale ? scale[1] : 1) + (bias ? bias[j] : 0);
      }
  },
});

/** y = x·Wᵀ + b. x: [N, in], weight: [out, in], bias: [out]. */
export function linear(x: Value, weight: Value, bias?: Value): Value {
  return matmul({ a: x, b: weight, bias }, { transposeA: false, transposeB: true });
}
