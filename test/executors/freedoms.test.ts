// Where an executor could differ from the others without a word: numbers that are none or subnormal, memory that held something else before,
// grids of workgroups with more than one row. Each test has one answer, which every executor must give.

import { describe, expect, test } from "vitest";
import { Unary } from "../../assembly/opcodes.ts";
import {
  columnSum,
  copy,
  crossEntropy,
  globalNorm,
  keep,
  kl,
  layerNorm,
  linear,
  mse,
  normalize,
  softmax,
  sum,
  unary,
} from "../../src/ops/index.ts";
import { adamw } from "../../src/optim/adamw.ts";
import { Trace } from "../../src/program/program.ts";
import type { Value } from "../../src/program/value.ts";
import { recipes } from "../../src/recipes/index.ts";
import { freshWeights, type Weights } from "../../src/train/model.ts";
import { placeWeights, Trainer } from "../../src/train/trainer.ts";
import { opCase } from "../ops/case.ts";
import { bytesOf, tinyBatches, tinyConfig, tinyRun } from "../train/tiny.ts";
import { devices, webgpu } from "./each.ts";

describe("a NaN reaches whatever depends on it, and nothing else", () => {
  // Element 7 of [4, 5] is none: row 1, column 2. A maximum that forgets a NaN, or a compiler that assumes there is none, would show.
  const x = { shape: [4, 5], data: Array.from({ length: 20 }, (_, i) => (i === 7 ? Number.NaN : i / 7 - 1)) };
  const row = { shape: [5], data: [1, 2, 0.5, 1, -1], fixed: true };
  const weight = { shape: [4], data: [1, 1, 1, 1], fixed: true };
  const cases: Record<string, [given: Parameters<typeof opCase>[1], build: Parameters<typeof opCase>[2]]> = {
    softmax: [{ x }, ({ x }) => softmax({ x }, {})],
    layerNorm: [
      { x, gamma: row, beta: row },
      ({ x, gamma, beta }) => layerNorm({ x, gamma, beta }, { epsilon: 1e-12 }),
    ],
    normalize: [{ x }, ({ x }) => normalize({ x }, { epsilon: 1e-12 })],
    linear: [{ x, w: { shape: [3, 5] } }, ({ x, w }) => linear(x, w)],
    columnSum: [{ x }, ({ x }) => columnSum({ x }, {})],
    sum: [{ x: { ...x, shape: [20] } }, ({ x }) => sum({ x }, {})],
    globalNorm: [{ x }, ({ x }) => globalNorm({ tensors: [x] }, {})],
    crossEntropy: [
      { x, labels: { shape: [4], data: [0, 1, 2, 3], dtype: "u32" }, weight },
      ({ x, labels, weight }) => crossEntropy({ logits: x, labels, weight }, {}),
    ],
    kl: [
      {
        x,
        t: { shape: [4, 5], data: new Array(20).fill(0.2), fixed: true },
        T: { shape: [1], data: [2], fixed: true },
        weight,
      },
      ({ x, t, T, weight }) => kl({ targets: t, logits: x, temperature: T, weight }, {}),
    ],
    mse: [{ x, b: { shape: [4, 5] }, weight }, ({ x, b, weight }) => mse({ a: x, b, weight }, {})],
  };
  for (const [name, [given, build]] of Object.entries(cases)) opCase(name, given, build, { gradients: false });
  for (const kind of [Unary.gelu, Unary.geluTanh, Unary.relu, Unary.tanh, Unary.abs])
    opCase(Unary[kind], { x }, ({ x }) => unary({ x }, { kind }), { gradients: false });
});

describe.skipIf(webgpu.missing)(`grids with a second row on ${webgpu.name}`, () => {
  // One dimension of a grid has at most 65,535 workgroups.
  async function result(y: Value, x: Value, trace: Trace, numbers: Float32Array) {
    const kept = keep(y, "y");
    const executor = await webgpu.make();
    const loaded = executor.load(trace.finish("one"));
    executor.write(x, numbers);
    executor.run(loaded);
    const found = await executor.read(kept);
    executor.dispose();
    return found;
  }

  test("of elements: 256 a workgroup, and BERT-base's word embeddings have more than 65,535 times that", async () => {
    const n = 65_535 * 256 + 300;
    const trace = new Trace();
    const x = trace.input("x", [n]);
    const numbers = new Float32Array(n);
    // A prime below 2²³: neighbours, and elements a row of the grid apart, differ.
    for (let i = 0; i < n; i++) numbers[i] = i % 8_388_593;
    const found = await result(copy({ x }, {}), x, trace, numbers);
    expect(found.findIndex((number, i) => number !== numbers[i])).toBe(-1);
  });

  test("of rows: 4 a workgroup", async () => {
    const rows = 4 * 65_535 + 7;
    const trace = new Trace();
    const x = trace.input("x", [rows, 2]);
    const numbers = new Float32Array(2 * rows);
    // Of (0, a) with a rising, the softmax falls: each row has its own answer.
    for (let r = 0; r < rows; r++) numbers[2 * r + 1] = (8 * r) / rows;
    const found = await result(softmax({ x }, {}), x, trace, numbers);
    const wrong = numbers.filter((a, i) => i % 2 === 1 && !(Math.abs(found[i] - 1 / (1 + Math.exp(-a))) < 1e-6));
    expect(wrong).toHaveLength(0);
  });
});

for (const device of devices)
  test.skipIf(device.missing)(
    `what another program left in the memory of temporaries changes no bit on ${device.name}`,
    async () => {
      const clean = await device.make();
      const expected = await tinyRun(clean, 3, 7);
      clean.dispose();
      const executor = await device.make();
      const [teacher, student] = [tinyConfig(4), tinyConfig(2)];
      const none = (weights: Weights): Weights =>
        new Map([...weights].map(([path, { shape, data }]) => [path, { shape, data: data.map(() => Number.NaN) }]));
      placeWeights(executor, "bad teacher", none(freshWeights(teacher, 1)));
      placeWeights(executor, "bad student", none(freshWeights(student, 2)));
      const structure = {
        ...{
          student: { owner: "bad student", config: student },
          teachers: [{ owner: "bad teacher", config: teacher }],
        },
        ...{ stage: recipes["pkd-skip"].stages.task, regression: false, optimizer: adamw },
      };
      const trainer = new Trainer(executor, structure, { seed: 1 });
      // A larger batch than those that follow: every slot is as large as it will be, and full of NaN.
      const [batch] = tinyBatches(1, 24, 9);
      expect((await trainer.step([batch], 1e-3, { temperature: 4, alpha: 0.7, beta: 10 })).skipped).toBe(true);
      const found = await tinyRun(executor, 3, 7);
      expect(found.losses).toEqual(expected.losses);
      expect(bytesOf(found.weights)).toBe(bytesOf(expected.weights));
      executor.dispose();
    },
  );
