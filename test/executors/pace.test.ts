// Submits are cut by time, without a GPU: what was believed, what a clock then says, and how the next run is cut.

import { afterEach, expect, test, vi } from "vitest";
import { Pace } from "../../src/executors/pace.ts";

afterEach(() => {
  vi.useRealTimers();
});

/** Runs one program of 100 commands on a device where a workgroup takes so many milliseconds; returns what each submit took. */
function device(workgroups: readonly number[]) {
  vi.useFakeTimers({ toFake: ["performance"] });
  const pace = new Pace();
  const costs = pace.guess(workgroups);
  const run = (milliseconds: number): number[] => {
    let first = 0;
    const began = performance.now();
    return pace.ends(costs).map((end) => {
      const took = milliseconds * workgroups.slice(first, end).reduce((a, b) => a + b, 0);
      vi.advanceTimersByTime(took);
      pace.timed(costs, workgroups, first, end, began);
      first = end;
      return took;
    });
  };
  return { pace, run };
}

const workgroups = Array.from({ length: 100 }, (_, i) => 1 + ((37 * i) % 100));

test("a program that never ran is cut small, and soon into as few submits as the time allows [G4]", () => {
  const { run } = device(workgroups);
  // 5,050 workgroups, half a millisecond each until something was timed.
  expect(run(0.05).length).toBeGreaterThan(20);
  for (let i = 0; i < 5; i++) run(0.05);
  const last = run(0.05);
  expect(last.length).toBeLessThanOrEqual(4);
  expect(Math.max(...last)).toBeLessThanOrEqual(100);
});

test("a device that becomes slow is heeded at the next run [G4]", () => {
  const { run } = device(workgroups);
  for (let i = 0; i < 6; i++) run(0.001);
  expect(run(0.001)).toHaveLength(1);
  expect(run(0.1)).toHaveLength(1);
  const next = run(0.1);
  expect(Math.max(...next)).toBeLessThanOrEqual(100);
  expect(next.length).toBeGreaterThanOrEqual(6);
});

test("another program starts at the pace of those before, and a submit that is mostly waiting does not spoil it", () => {
  const { pace, run } = device(workgroups);
  for (let i = 0; i < 8; i++) run(0.001);
  const before = pace.guess([1000])[0];
  expect(before).toBeLessThan(10);
  const small = pace.guess([1]);
  vi.advanceTimersByTime(5);
  pace.timed(small, [1], 0, 1, performance.now() - 5);
  expect(pace.guess([1000])[0]).toBe(before);
  expect(pace.ends([])).toEqual([]);
  expect(pace.ends([500, 1, 500])).toEqual([1, 2, 3]);
});
