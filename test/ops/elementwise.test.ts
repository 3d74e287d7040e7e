import { describe } from "vitest";
import { Unary } from "../../assembly/opcodes.ts";
import { add, columns, concat, copy, div, dropout, fill, mul, sub, sum, unary } from "../../src/ops/index.ts";
import { NONE } from "../../src/program/value.ts";
import { opCase } from "./case.ts";

const x = { shape: [5, 7] };

describe("unary", () => {
  for (const kind of [Unary.gelu, Unary.geluTanh, Unary.tanh, Unary.relu, Unary.abs])
    opCase(`${Unary[kind]}`, { x }, ({ x }) => unary({ x }, { kind }));
  // Enough of them that short loops take most, on each of several threads.
  opCase("gelu of many", { x: { shape: [1301] } }, ({ x }) => unary({ x }, { kind: Unary.gelu }));
  const far = [-80, -9, -5, -3, -1, -1e-3, -1e-8, 0, 1e-8, 1e-3, 1, 3, 5, 9, 80];
  for (const kind of [Unary.gelu, Unary.geluTanh, Unary.tanh, Unary.relu, Unary.abs])
    opCase(`${Unary[kind]} far out`, { x: { shape: [15], data: far } }, ({ x }) => unary({ x }, { kind }), {
      gradients: false,
    });
});

describe("binary", () => {
  for (const [name, f] of Object.entries({ add, sub, mul, div })) {
    // Divisors stay away from zero, where finite differences are no measure.
    const b = { shape: [5, 7], data: Array.from({ length: 35 }, (_, i) => 1 + (i % 9) / 3) };
    opCase(name, { a: x, b }, ({ a, b }) => f(a, b));
    opCase(`${name} by one number`, { a: x, b: { shape: [1], data: [1.5], fixed: true } }, ({ a, b }) => f(a, b));
  }
});

describe("dropout", () => {
  const seed = { shape: [2], data: [7, 3], dtype: "u32" as const };
  for (const n of [9, 64])
    opCase(`${n} elements at p = 0.3`, { x: { shape: [n] }, seed }, ({ x, seed }) =>
      dropout({ x, seed }, { p: 0.3, site: 5 }),
    );
  const rows = { shape: [4], data: [1, 6, 5, NONE], dtype: "u32" as const };
  opCase("some rows of a whole", { x: { shape: [4, 9] }, seed, rows }, ({ x, seed, rows }) =>
    dropout({ x, seed, rows }, { p: 0.3, site: 5 }),
  );
});

describe("copy, sum, fill", () => {
  opCase("copy", { x }, ({ x }) => copy({ x }, {}));
  opCase("sum", { x: { shape: [11] } }, ({ x }) => sum({ x }, {}));
  opCase("fill", { s: { shape: [1] } }, ({ s }) => fill({ s }, { R: 6 }), { gradients: false });
});

describe("concat and columns", () => {
  opCase("rows side by side", { a: { shape: [5, 3] }, b: { shape: [5, 8] } }, ({ a, b }) => concat({ a, b }, {}));
  for (const [from, width] of [
    [2, 4],
    [-3, 5],
    [-2, 40],
    [3, 40],
  ])
    opCase(`columns from ${from}, ${width} of them`, { x }, ({ x }) => columns({ x }, { from, width }));
});
