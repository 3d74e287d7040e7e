import { describe } from "vitest";
import { matmul } from "../../src/ops/index.ts";
import { opCase } from "./case.ts";

describe("matmul", () => {
  for (const [M, N, K] of [
    [7, 9, 5],
    [1, 33, 18],
    [26, 17, 40],
  ])
    for (const transposeA of [false, true])
      for (const transposeB of [false, true])
        opCase(
          `[${M}, ${K}]${transposeA ? "ᵀ" : ""} × [${K}, ${N}]${transposeB ? "ᵀ" : ""} + bias`,
          {
            a: { shape: transposeA ? [K, M] : [M, K] },
            b: { shape: transposeB ? [N, K] : [K, N] },
            bias: { shape: [N] },
          },
          ({ a, b, bias }) => matmul({ a, b, bias }, { transposeA, transposeB }),
        );
  opCase(
    "larger than every block",
    { a: { shape: [131, 300] }, b: { shape: [530, 300] } },
    ({ a, b }) => matmul({ a, b }, { transposeA: false, transposeB: true }),
    { gradients: false },
  );
});
