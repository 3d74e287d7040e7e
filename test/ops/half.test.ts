import { describe, expect, test } from "vitest";
import type { Executor } from "../../src/executors/executor.ts";
import { ReferenceExecutor } from "../../src/executors/reference.ts";
import { copy, gradient, half, keep, LOSS_SCALE, lossScale, matmul } from "../../src/ops/index.ts";
import { Trace } from "../../src/program/program.ts";
import { Random } from "../../src/random.ts";
import { devices, webgpu } from "../executors/each.ts";
import { distance, opCase } from "./case.ts";

const NONE = Number.NaN;

const LACKS = "this GPU has no shader-f16";
const lacks = ({ features }: Executor) => features?.has("shader-f16") === false;

/** IEEE 754 binary16, ties to even: what goes in, what comes out. */
const rounding: readonly (readonly [number, number])[] = [
  [0, 0],
  [1, 1],
  [-3.1406, -3.140625],
  [0.1, 0.0999755859375],
  // 1 and its next: halfway between them, and a little more.
  [1.00048828125, 1],
  [1.0004884, 1.0009765625],
  [1.00146484375, 1.001953125],
  [2049, 2048],
  [2051, 2052],
  [65504, 65504],
  [65519, 65504],
  [65520, NONE],
  [-1e9, NONE],
  [Number.POSITIVE_INFINITY, NONE],
  [NONE, NONE],
];

/** Below 2⁻¹⁴ numbers are multiples of 2⁻²⁴; a GPU may take them for 0. */
const small: readonly (readonly [number, number])[] = [
  [2 ** -14, 2 ** -14],
  [5.9e-8, 2 ** -24],
  [8.9e-8, 2 ** -24],
  [9e-8, 2 ** -23],
  [2.9e-8, 0],
];

/** A product with 1 brings halves back. */
async function rounded(executor: Executor, numbers: readonly number[]): Promise<number[]> {
  const trace = new Trace();
  const [x, one] = [trace.input("x", [numbers.length, 1]), trace.input("one", [1, 1])];
  const factors = { a: half({ x }, {}), b: half({ x: one }, {}) };
  const y = keep(matmul(factors, { transposeA: false, transposeB: false }), "y");
  executor.write(x, Float32Array.from(numbers));
  executor.write(one, Float32Array.of(1));
  executor.run(executor.load(trace.finish("half")));
  return [...(await executor.read(y))];
}

/** Gradients of Σ dy·(x·Wᵀ + b) with x and W rounded. */
async function gradients(executor: Executor, rows: number, halves: boolean): Promise<ArrayLike<number>[]> {
  const trace = new Trace();
  const x = trace.state("x", [rows, 12]);
  const weight = trace.state("weight", [8, 12]);
  const operand = (value: typeof x) => (halves ? half({ x: value }, {}) : value);
  const y = matmul({ a: operand(x), b: operand(weight) }, { transposeA: false, transposeB: true });
  const dy = trace.input("dy", y.shape);
  const targets = [x, weight].map((value) => [value, trace.state(`d/${value.name}`, value.shape)] as const);
  gradient(y, new Map(targets), dy);
  const program = trace.finish("gradients");
  // The gradient of a rounded parameter goes straight into its state.
  expect(program.instructions.filter(({ op }) => op.name === "copy")).toEqual([]);
  const random = new Random(1, "half");
  for (const [value, size] of [
    [x, 1],
    [weight, 1],
    [dy, 1e-6],
  ] as const)
    executor.write(
      value,
      Float32Array.from({ length: value.shape[0] * value.shape[1] }, () => size * random.normal()),
    );
  executor.write(LOSS_SCALE, Float32Array.of(65536, 1 / 65536, 0, 0));
  executor.run(executor.load(program));
  return Promise.all(targets.map(([, target]) => executor.read(target)));
}

for (const device of devices)
  describe.skipIf(device.missing)(`half precision on ${device.name}`, () => {
    test("rounds as IEEE 754 says, and what is beyond is no number", async ({ skip }) => {
      const executor = await device.make();
      skip(lacks(executor), LACKS);
      const cases = executor.name === "webgpu" ? rounding : [...rounding, ...small];
      expect(
        await rounded(
          executor,
          cases.map(([given]) => given),
        ),
      ).toEqual(cases.map(([, found]) => found));
      executor.dispose();
    });

    test("small gradients outlive it, thanks to the scale", async ({ skip }) => {
      // Rows of vectors, of single numbers, and sums in parts.
      for (const rows of [16, 7, 1040]) {
        const executor = await device.make();
        skip(lacks(executor), LACKS);
        const found = await gradients(executor, rows, true);
        const exact = await gradients(new ReferenceExecutor(), rows, false);
        executor.dispose();
        exact.forEach((numbers, i) => {
          const largest = Math.max(...Array.from(numbers, Math.abs));
          const scaled = [found[i], numbers].map((array) => Array.from(array, (v) => v / largest));
          // 11 bits in each factor; without the scale a millionth has two or three of them.
          expect(distance(scaled[0], scaled[1])).toBeLessThan(1.5e-3);
          expect(distance(scaled[0], scaled[1])).toBeGreaterThan(1e-6);
        });
      }
    });
  });

test("only products read halves, and only of halves", () => {
  const trace = new Trace();
  const [x, w] = [trace.input("x", [4, 4]), trace.input("w", [4, 4])];
  const [a, b] = [half({ x }, {}), half({ x: w }, {})];
  expect(matmul({ a, b }, { transposeA: false, transposeB: true }).dtype).toBe("f32");
  expect(() => matmul({ a, b: w }, { transposeA: false, transposeB: true })).toThrow("input b must be");
  expect(() => copy({ x: a }, {})).toThrow("input x must be");
});

test.skipIf(webgpu.missing)("a GPU without half precision refuses a program with halves by name", async () => {
  const executor = await webgpu.make({ features: [] });
  const trace = new Trace();
  const x = half({ x: trace.input("x", [4, 4]) }, {});
  keep(matmul({ a: x, b: x }, { transposeA: false, transposeB: true }), "y");
  expect(() => executor.load(trace.finish("halves"))).toThrow(/needs shader-f16/);
  executor.dispose();
});

describe("lossScale", () => {
  for (const [what, state, norm] of [
    ["stands", [1024, 1 / 1024, 17, 2], 3],
    ["is halved", [1024, 1 / 1024, 1999, 0], Number.NaN],
    ["is halved again", [1, 1, 0, 5], Number.POSITIVE_INFINITY],
    ["is doubled", [1024, 1 / 1024, 1999, 0], 0],
  ] as const)
    opCase(
      what,
      { state: { shape: [4], data: state, state: true }, norm: { shape: [1], data: [norm] } },
      ({ state, norm }) => lossScale({ state, norm }, {}),
      { gradients: false },
    );
});
