// Numbers that change over the training, against transformers' own formulas (optimization.py) in plain mathematics.

import { expect, test } from "vitest";
import { learningRateFactor, valueAt, warmupSteps } from "../../src/optim/schedule.ts";

const [TOTAL, WARMUP] = [40, 7];
const steps = Array.from({ length: TOTAL }, (_, i) => i);

test("the learning rate rises over the warm-up, then follows its curve", () => {
  for (const i of steps) {
    const done = (i - WARMUP) / (TOTAL - WARMUP);
    const rising = i < WARMUP ? i / WARMUP : undefined;
    expect(learningRateFactor("linear", i, TOTAL, WARMUP)).toBeCloseTo(rising ?? 1 - done, 14);
    expect(learningRateFactor("cosine", i, TOTAL, WARMUP)).toBeCloseTo(
      rising ?? 0.5 * (1 + Math.cos(Math.PI * done)),
      14,
    );
    expect(learningRateFactor("constant", i, TOTAL, WARMUP)).toBe(rising ?? 1);
  }
  expect(learningRateFactor("linear", 0, 10, 0)).toBe(1);
  expect(warmupSteps(41, 0.1)).toBe(5);
});

test("a varying number goes from the first update to the last", () => {
  expect(steps.map((i) => valueAt(3, i, TOTAL))).toEqual(steps.map(() => 3));
  for (const curve of ["linear", "cosine"] as const) {
    const at = (i: number, total = 5) => valueAt({ from: 8, to: 2, curve }, i, total);
    expect([at(0), at(4)]).toEqual([8, 2]);
    expect(at(2)).toBeCloseTo(5, 14);
    expect(at(1)).toBeCloseTo(curve === "linear" ? 6.5 : 5 + 3 * Math.cos(Math.PI / 4), 14);
    expect(at(0, 1)).toBe(8);
  }
});
