// Ten updates by name against numpy's and PyTorch's in float64 (test/fixtures/optimizers.py), and none from numbers that are not finite.

import { describe, expect, test } from "vitest";
import { optimizerNamed } from "../../src/optim/index.ts";
import { Clock, companions, GRADIENT_NORM, HYPER, traceUpdate } from "../../src/optim/optimizer.ts";
import { Trace } from "../../src/program/program.ts";
import { devices } from "../executors/each.ts";
import { fixtureJson } from "../fixtures/read.ts";
import { distance } from "../ops/case.ts";

const { shapes, start, gradients, norms, runs } = fixtureJson("optimizers.json");
const NAMES: Record<string, string> = {
  bertAdam: "bertAdam",
  lamb: "lamb",
  lambUncorrected: "lamb without bias correction",
  adadelta: "adadelta",
};
const values = Object.entries(shapes as Record<string, number[]>).map(([name, shape]) => ({
  name,
  shape,
  dtype: "f32" as const,
}));

for (const device of devices)
  describe.skipIf(device.missing)(`on ${device.name}`, () => {
    for (const [name, recorded] of Object.entries(NAMES)) {
      const run = runs.find((one: { name: string }) => one.name === recorded);
      const open = async () => {
        const optimizer = optimizerNamed(name);
        const { rho, ...options } = run.options;
        const clock = new Clock({ ...optimizer.defaults, ...options, ...(rho ? { beta2: rho } : {}) });
        const trace = new Trace();
        traceUpdate(trace, optimizer, new Map(values.map((value) => [value.name, value.shape])));
        const executor = await device.make();
        const loaded = executor.load(trace.finish("update"));
        for (const value of values) {
          executor.write(value, Float64Array.from(start[value.name]));
          for (const own of Object.values(companions(value.name)))
            executor.write({ ...value, name: own }, new Float64Array(start[value.name].length));
        }
        const step = (learningRate: number, gradient: Record<string, number[]>) => {
          for (const value of values)
            executor.write(
              { ...value, name: companions(value.name).gradient },
              Float64Array.from(gradient[value.name]),
            );
          executor.write(HYPER, clock.next(learningRate));
          executor.run(loaded);
        };
        return { executor, step };
      };

      test(`${name} takes the ten steps`, async () => {
        const { executor, step } = await open();
        // f32 knows 1 − 0.999 to 1.3e-5, and so a step to half of that; ten steps move a weight by at most 0.5.
        const tolerance = device.name === "reference" ? 1e-12 : 1e-5;
        expect(run.steps.length).toBe(10);
        for (const [t, { learningRate, weights }] of run.steps.entries()) {
          step(learningRate, gradients[t]);
          for (const value of values)
            expect(distance(await executor.read(value), weights[value.name]), `${value.name} ${t}`).toBeLessThanOrEqual(
              tolerance,
            );
          expect(distance(await executor.read(GRADIENT_NORM), [norms[t]])).toBeLessThanOrEqual(tolerance);
        }
        executor.dispose();
      });

      test(`${name} refuses a gradient that is not finite, in whichever tensor`, async () => {
        const { executor, step } = await open();
        step(run.steps[0].learningRate, gradients[0]);
        const before = await Promise.all(values.map((value) => executor.read(value)));
        for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
          step(1, { ...gradients[1], "dense.bias": [0, bad, 0, 0, 0] });
          expect(await Promise.all(values.map((value) => executor.read(value)))).toEqual(before);
          expect(Number.isFinite((await executor.read(GRADIENT_NORM))[0])).toBe(false);
        }
        executor.dispose();
      });
    }
  });
