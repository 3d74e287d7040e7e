// C = op(A)·op(B) + bias, op(X) = X or Xᵀ. The linear layer of Hugging Face files is y = x·Wᵀ + b with W [out, in].
//   dA = dC·op(B)ᵀ   dB = op(A)ᵀ·dC   dbias = Σ rows of dC

import { MATMUL_SCRATCH } from "../../assembly/layout.ts";
import { cut } from "../../shaders/tiles.ts";
import { LimbeckError } from "../errors.ts";
import { elements } from "../program/dispatch.ts";
import { defineOp, type GradientRule } from "../program/op.ts";
import type { Value } from "../program/value.ts";
import { columnSum } from "./columnSum.ts";

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
  inputs: { a: "P Q", b: "R S", bias: "O?" },
  output: (dims, attributes) => {
    const [M, N] = sizes(dims, attributes);
    if (dims.O !== undefined && dims.O !== N)
      throw new LimbeckError("OP_SHAPE", `matmul: bias is [${dims.O}] but the product has ${N} columns`);
    return [M, N];
  },
  accumulates: true,
  parameters: (dims, attributes) => [
    ...sizes(dims, attributes),
    Number(attributes.transposeA),
    Number(attributes.transposeB),
  ],
  dispatches: (dims, attributes) => {
    const [M, N, K] = sizes(dims, attributes);
    const { parts, ...tiled } = cut({ M, N, K, ...(attributes as Transposes) });
    const product = { entry: "matmul", ...tiled };
    if (parts === 1) return [product];
    const [inParts, scratch] = [["scratch", "a", "b", "nothing"], 4 * M * N * parts];
    const { head, parameters } = tiled;
    const bind = ["out", "scratch", "nothing", "bias"];
    return [
      { ...product, bind: inParts, scratch },
      { entry: "matmulSum", head, grid: elements(M * N), parameters, bind },
    ];
  },
  scratch: (_, threads) => threads * MATMUL_SCRATCH,
  gradient: ({ dy, inputs: { a, b }, attributes }): GradientRule => {
    const { transposeA, transposeB } = attributes as Transposes;
    return {
      a: () =>
        transposeA
          ? matmul({ a: b, b: dy }, { transposeA: transposeB, transposeB: true })
          : matmul({ a: dy, b }, { transposeA: false, transposeB: !transposeB }),
      b: () =>
        transposeB
          ? matmul({ a: dy, b: a }, { transposeA: true, transposeB: transposeA })
          : matmul({ a, b: dy }, { transposeA: !transposeA, transposeB: false }),
      bias: () => columnSum({ x: dy }, {}),
    };
  },
  formula: ({ inputs: { a, b, bias }, out, dims, attributes }) => {
    const [M, N, K] = sizes(dims, attributes);
    for (let i = 0; i < M; i++)
      for (let j = 0; j < N; j++) {
        let sum = bias ? bias[j] : 0;
        for (let k = 0; k < K; k++)
          sum += a[attributes.transposeA ? k * M + i : i * K + k] * b[attributes.transposeB ? j * K + k : k * N + j];
        out[i * N + j] = sum;
      }
  },
});

/** y = x·Wᵀ + b. x: [N, in], weight: [out, in], bias: [out]. */
export function linear(x: Value, weight: Value, bias?: Value): Value {
  return matmul({ a: x, b: weight, bias }, { transposeA: false, transposeB: true });
}
