import { describe } from "vitest";
import { adamw, globalNorm } from "../../src/ops/index.ts";
import { opCase } from "./case.ts";

const tensor = { shape: [6, 5], state: true };
const given = { w: tensor, g: tensor, m: tensor, v: { ...tensor, data: Array.from({ length: 30 }, (_, i) => i / 30) } };
const hyper = (maxNorm: number) => ({ shape: [8], data: [1e-2, 0.9, 0.999, 1e-8, 0.1, 0.19, 0.045, maxNorm] });

describe("adamw", () => {
  for (const decay of [true, false])
    for (const [maxNorm, norm] of [
      [0, 5],
      [1, 5],
      [1, 0.5],
      [1, Number.NaN],
      [1, Number.POSITIVE_INFINITY],
    ])
      opCase(
        `decay ${decay}, clip ${maxNorm} at norm ${norm}`,
        { ...given, hyper: hyper(maxNorm), norm: { shape: [1], data: [norm] } },
        ({ w, g, m, v, hyper, norm }) => adamw({ w, g, m, v, hyper, norm }, { decay }),
        { gradients: false },
      );
});

describe("globalNorm", () => {
  opCase(
    "over tensors of several sizes",
    { a: { shape: [9000] }, b: { shape: [3] }, c: { shape: [70, 70] } },
    ({ a, b, c }) => globalNorm({ tensors: [a, b, c] }, {}),
    { gradients: false },
  );
  opCase(
    "over more tensors than a kernel can bind",
    Object.fromEntries([4096, 1, 4097, 3, 8200, 5, 6, 7, 4100].map((n, i) => [`t${i}`, { shape: [n] }])),
    (tensors) => globalNorm({ tensors: Object.values(tensors) }, {}),
    { gradients: false },
  );
});
