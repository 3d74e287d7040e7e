import { describe } from "vitest";
import { columnSum, layerNorm, noNorm, normalize } from "../../src/ops/index.ts";
import { opCase } from "./case.ts";

describe("layerNorm", () => {
  for (const [R, D] of [
    [3, 26],
    [5, 16],
  ])
    opCase(
      `[${R}, ${D}]`,
      { x: { shape: [R, D] }, gamma: { shape: [D] }, beta: { shape: [D] } },
      ({ x, gamma, beta }) => layerNorm({ x, gamma, beta }, { epsilon: 1e-12 }),
    );
  const near = { shape: [1, 4], data: [1000, 1000.001, 999.999, 1000] };
  opCase(
    "rows far from zero",
    { x: near, gamma: { shape: [4] }, beta: { shape: [4] } },
    ({ x, gamma, beta }) => layerNorm({ x, gamma, beta }, { epsilon: 1e-5 }),
    // x itself is only known to 6e-5 here, a twentieth of σ.
    { gradients: false, tolerance: 2e-2 },
  );
});

describe("noNorm", () => {
  for (const [R, D] of [
    [3, 26],
    [5, 16],
  ])
    opCase(
      `[${R}, ${D}]`,
      { x: { shape: [R, D] }, gamma: { shape: [D] }, beta: { shape: [D] } },
      ({ x, gamma, beta }) => noNorm({ x, gamma, beta }, {}),
    );
  opCase("without β", { x: { shape: [4, 7] }, gamma: { shape: [7] } }, ({ x, gamma }) => noNorm({ x, gamma }, {}));
});

describe("normalize", () => {
  opCase("rows", { x: { shape: [4, 9] } }, ({ x }) => normalize({ x }, { epsilon: 1e-12 }));
});

describe("columnSum", () => {
  for (const D of [5, 70])
    opCase(`[9, ${D}]`, { x: { shape: [9, D] } }, ({ x }) => columnSum({ x }, {}), { gradients: false });
});
