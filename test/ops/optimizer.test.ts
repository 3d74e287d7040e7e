import { describe } from "vitest";
import { adadelta, adamw, bertAdam, globalNorm, lamb } from "../../src/ops/index.ts";
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

const norms = [
  [0, 5],
  [1, 5],
  [1, 0.5],
  [1, Number.NaN],
  [1, Number.POSITIVE_INFINITY],
];

describe("bertAdam", () => {
  for (const decay of [true, false])
    for (const [maxNorm, norm] of norms)
      for (const own of [0.5, 3])
        opCase(
          `decay ${decay}, clip ${maxNorm} at own norm ${own}, norm ${norm}`,
          { ...given, hyper: hyper(maxNorm), norm: { shape: [1], data: [norm] }, own: { shape: [1], data: [own] } },
          ({ w, g, m, v, hyper, norm, own }) => bertAdam({ w, g, m, v, hyper, norm, own }, { decay }),
          { gradients: false },
        );
});

describe("adadelta", () => {
  const squares = { ...given, m: { ...tensor, data: Array.from({ length: 30 }, (_, i) => (i % 7) / 50) } };
  for (const decay of [true, false])
    for (const [maxNorm, norm] of norms)
      opCase(
        `decay ${decay}, clip ${maxNorm} at norm ${norm}`,
        { ...squares, hyper: hyper(maxNorm), norm: { shape: [1], data: [norm] } },
        ({ w, g, m, v, hyper, norm }) => adadelta({ w, g, m, v, hyper, norm }, { decay }),
        { gradients: false },
      );
});

describe("lamb", () => {
  // A tensor of several chunks, one within a chunk, and norms of zero, which have no ratio.
  const large = { shape: [90, 101], state: true };
  const many = {
    w: large,
    g: large,
    m: large,
    v: { ...large, data: Array.from({ length: 9090 }, (_, i) => (i % 97) / 9) },
  };
  const zero = { ...tensor, data: Array(30).fill(0) };
  for (const decay of [true, false])
    for (const [maxNorm, norm] of norms)
      for (const [name, tensors] of Object.entries({ many, given, "zero w": { ...given, w: zero } }))
        opCase(
          `decay ${decay}, clip ${maxNorm} at norm ${norm}, ${name}`,
          { ...tensors, hyper: hyper(maxNorm), norm: { shape: [1], data: [norm] } },
          ({ w, g, m, v, hyper, norm }) => lamb({ w, g, m, v, hyper, norm }, { decay, correct: decay }),
          { gradients: false },
        );
  opCase(
    "without correction of the bias",
    { ...many, hyper: hyper(1), norm: { shape: [1], data: [5] } },
    ({ w, g, m, v, hyper, norm }) => lamb({ w, g, m, v, hyper, norm }, { decay: true, correct: false }),
    { gradients: false },
  );
  opCase(
    "no step where the direction is zero",
    {
      w: tensor,
      g: zero,
      m: zero,
      v: given.v,
      hyper: { ...hyper(0), data: [1e-2, 0.9, 0.999, 1e-8, 0, 0.19, 0.045, 0] },
      norm: { shape: [1], data: [0] },
    },
    ({ w, g, m, v, hyper, norm }) => lamb({ w, g, m, v, hyper, norm }, { decay: true, correct: true }),
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
