import { expect, test } from "vitest";
import { cos, exp, log, powInt } from "../src/math.ts";

const relative = (a: number, b: number) => (a === b ? 0 : Math.abs(a - b) / Math.abs(b));

// Math.* is itself only good to about one unit in the last place; 1e-14 is some 45 units.
const BOUND = 1e-14;

function worst(f: (x: number) => number, truth: (x: number) => number, from: number, to: number): number {
  let max = 0;
  for (let i = 0; i <= 20000; i++) {
    const x = from + ((to - from) * i) / 20000;
    const error = relative(f(x), truth(x));
    if (!(error <= max)) max = error;
  }
  return max;
}

test("exp, log and cos agree with the engine's", () => {
  expect(worst(exp, Math.exp, -708, 709)).toBeLessThan(BOUND);
  expect(worst(exp, Math.exp, -1, 1)).toBeLessThan(BOUND);
  expect(worst(log, Math.log, 1e-9, 3)).toBeLessThan(BOUND);
  expect(worst(log, Math.log, 0.999, 1.001)).toBeLessThan(BOUND);
  expect(
    worst(
      (x) => log(exp(x)),
      (x) => x,
      3,
      700,
    ),
  ).toBeLessThan(BOUND);
  expect(worst(cos, Math.cos, 0, Math.PI)).toBeLessThan(BOUND);
  expect(worst(cos, Math.cos, -1000, 1000)).toBeLessThan(BOUND);
});

test("exp keeps its edges", () => {
  expect(exp(0)).toBe(1);
  expect(exp(-Infinity)).toBe(0);
  expect(exp(-800)).toBe(0);
  expect(exp(800)).toBe(Infinity);
  expect(exp(Number.NaN)).toBeNaN();
  expect(relative(exp(-740), Math.exp(-740))).toBeLessThan(0.05); // subnormal: few bits are left
});

test("log keeps its edges", () => {
  expect(log(1)).toBe(0);
  expect(log(0)).toBe(-Infinity);
  expect(log(Infinity)).toBe(Infinity);
  expect(log(-1)).toBeNaN();
  expect(log(Number.NaN)).toBeNaN();
  expect(relative(log(5e-324), Math.log(5e-324))).toBeLessThan(BOUND);
  expect(relative(log(Number.MAX_VALUE), Math.log(Number.MAX_VALUE))).toBeLessThan(BOUND);
});

test("cos is exact where schedules start and end, and refuses what it cannot reduce", () => {
  expect(cos(0)).toBe(1);
  expect(cos(Math.PI)).toBe(-1);
  expect(relative(cos(Math.PI / 2), Math.cos(Math.PI / 2))).toBeLessThan(BOUND);
  expect(() => cos(1e9)).toThrow(/cos/);
});

test("powInt multiplies", () => {
  expect(powInt(2, 10)).toBe(1024);
  expect(powInt(0.5, 1074)).toBe(5e-324);
  expect(powInt(0.9, 0)).toBe(1);
  expect(relative(powInt(0.999, 1000), 0.999 ** 1000)).toBeLessThan(BOUND);
  for (const n of [0.5, -1, Number.NaN]) expect(() => powInt(2, n)).toThrow(/integer/);
});
