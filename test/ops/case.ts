// One op on small seeded inputs: its values on every executor against the f64 formula, and its gradients against finite differences.

import { expect, test } from "vitest";
import type { Executor, Numbers } from "../../src/executors/executor.ts";
import { ReferenceExecutor } from "../../src/executors/reference.ts";
import { gradient, keep } from "../../src/ops/index.ts";
import { Trace } from "../../src/program/program.ts";
import { sizeOf, type Value } from "../../src/program/value.ts";
import { Random } from "../../src/random.ts";
import { devices } from "../executors/each.ts";
import { here } from "../hosts/here.ts";

export interface Given {
  readonly shape: readonly number[];
  readonly data?: readonly number[];
  readonly dtype?: "u32";
  /** Not differentiated (ids, weights, targets). */
  readonly fixed?: boolean;
  /** State: may be written by the op. */
  readonly state?: boolean;
}

type Build = (inputs: Record<string, Value>) => Value;

function declare(trace: Trace, given: Readonly<Record<string, Given>>): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(given).map(([name, { shape, dtype, state, fixed }]) => [
      name,
      state || !(fixed || dtype) ? trace.state(name, shape) : trace.input(name, shape, dtype ?? "f32"),
    ]),
  );
}

function numbers(given: Readonly<Record<string, Given>>, seed: number): Record<string, Numbers> {
  const random = new Random(seed, "op test");
  return Object.fromEntries(
    Object.entries(given).map(([name, { shape, data, dtype }]) => {
      const all = data ?? Array.from({ length: sizeOf({ shape }) }, () => random.normal());
      return [name, dtype ? Uint32Array.from(all) : Float32Array.from(all)];
    }),
  );
}

async function run(
  executor: Executor,
  given: Readonly<Record<string, Given>>,
  data: Record<string, Numbers>,
  build: Build,
) {
  const trace = new Trace();
  const inputs = declare(trace, given);
  const y = build(inputs);
  const results =
    y.storage === "state" ? Object.values(inputs).filter((value) => given[value.name].state) : [keep(y, "y")];
  const loaded = executor.load(trace.finish("op"));
  for (const [name, value] of Object.entries(inputs)) executor.write(value, data[name]);
  executor.run(loaded);
  return Promise.all(results.map((value) => executor.read(value)));
}

/** max |a − b| over the largest |b| (at least 1). */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let most = 1;
  let apart = 0;
  for (let i = 0; i < b.length; i++) {
    most = Math.max(most, Math.abs(b[i]) || 0);
    apart =
      Number.isNaN(a[i]) !== Number.isNaN(b[i])
        ? Number.POSITIVE_INFINITY
        : Math.max(apart, Math.abs(a[i] - b[i]) || 0);
  }
  return apart / most;
}

/** Registers the value tests (all executors) and, unless `gradients` is false, the finite-difference test of one op call. */
export function opCase(
  name: string,
  given: Readonly<Record<string, Given>>,
  build: Build,
  options: { gradients?: boolean; tolerance?: number } = {},
): void {
  for (const device of devices)
    test.skipIf(device.missing)(`${name}: values on ${device.name}`, async () => {
      const data = numbers(given, 1);
      const expected = await run(new ReferenceExecutor(), given, data, build);
      const executor = await device.make();
      const found = await run(executor, given, data, build);
      executor.dispose();
      const bound = options.tolerance && device.name !== "reference" ? options.tolerance : device.tolerance;
      expect(expected.some((array) => array.some((x) => x !== 0))).toBe(true);
      expected.forEach((array, i) => {
        expect(distance(found[i], array)).toBeLessThanOrEqual(bound);
      });
    });

  // Finite differences are taken in the reference executor, which is the same everywhere.
  if (options.gradients === false || here.remote) return;
  test(`${name}: gradients against finite differences`, async () => {
    const data = Object.fromEntries(
      Object.entries(numbers(given, 2)).map(([key, array]) => [
        key,
        given[key].dtype ? array : Float64Array.from(array),
      ]),
    );
    const executor = new ReferenceExecutor();
    const wanted = Object.keys(given).filter((key) => !given[key].fixed && !given[key].dtype);
    const trace = new Trace();
    const inputs = declare(trace, given);
    const y = build(inputs);
    const dy = trace.input("dy", y.shape);
    gradient(y, new Map(wanted.map((key) => [inputs[key], trace.state(`d.${key}`, inputs[key].shape)])), dy);
    const both = executor.load(trace.finish("gradient"));
    // Every element of dy is different, so that no two mistakes cancel.
    const random = new Random(3, "dy");
    const weights = Float64Array.from({ length: sizeOf(y) }, () => random.normal());
    executor.write(dy, weights);
    for (const key of Object.keys(given)) executor.write(inputs[key], data[key]);
    executor.run(both);

    const valueTrace = new Trace();
    const value = keep(build(declare(valueTrace, given)), "y");
    const forward = executor.load(valueTrace.finish("value"));
    const lossAt = async () => {
      executor.run(forward);
      return (await executor.read(value)).reduce((sum, v, i) => sum + v * weights[i], 0);
    };
    const eps = 1e-6;
    for (const key of wanted) {
      const analytic = await executor.read({ name: `d.${key}`, shape: inputs[key].shape, dtype: "f32" });
      const numeric = new Float64Array(analytic.length);
      for (let i = 0; i < numeric.length; i++) {
        const moved = Float64Array.from(data[key]);
        moved[i] += eps;
        executor.write(inputs[key], moved);
        const up = await lossAt();
        moved[i] -= 2 * eps;
        executor.write(inputs[key], moved);
        numeric[i] = (up - (await lossAt())) / (2 * eps);
      }
      executor.write(inputs[key], data[key]);
      // Central differences in f64: error about eps² + 1e-16/eps, far below 1e-6.
      expect(distance(analytic, numeric), key).toBeLessThanOrEqual(1e-6);
    }
  });
}
