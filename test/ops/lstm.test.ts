import { describe, expect, test } from "vitest";
import { WasmExecutor } from "../../src/executors/wasm.ts";
import { add, concat, gradient, keep, linear, lstm, lstmGrad, shift } from "../../src/ops/index.ts";
import { Trace } from "../../src/program/program.ts";
import { sizeOf, type Value } from "../../src/program/value.ts";
import { Random } from "../../src/random.ts";
import { devices } from "../executors/each.ts";
import { fixtureTensors } from "../fixtures/read.ts";
import { here } from "../hosts/here.ts";
import { distance, opCase } from "./case.ts";

// Sequences of every kind: long, empty, of one token; an even and an odd number that take a step together; three tail rows.
const offsets = { shape: [7], data: [0, 5, 6, 6, 13, 15, 18], dtype: "u32" as const };

describe("lstm", () => {
  for (const H of [3, 8, 13])
    for (const reverse of [false, true])
      opCase(
        `${H} units${reverse ? ", in reverse" : ""}`,
        { x: { shape: [21, 4 * H] }, weight: { shape: [4 * H, H] }, offsets },
        ({ x, weight, offsets }) => lstm({ x, weight, offsets }, { reverse }),
      );
  opCase(
    "one sequence",
    { x: { shape: [5, 36] }, weight: { shape: [36, 9] }, offsets: { shape: [2], data: [0, 5], dtype: "u32" } },
    ({ x, weight, offsets }) => lstm({ x, weight, offsets }, { reverse: false }),
  );
  opCase(
    "more units than a workgroup has threads, gates far out",
    {
      x: { shape: [7, 1200], data: Array.from({ length: 8400 }, (_, i) => ((i * 37) % 101) - 50) },
      weight: { shape: [1200, 300] },
      offsets: { shape: [3], data: [0, 4, 6], dtype: "u32" },
    },
    ({ x, weight, offsets }) => lstm({ x, weight, offsets }, { reverse: true }),
    { gradients: false },
  );
});

describe("lstmGrad", () => {
  for (const H of [3, 8, 13])
    for (const reverse of [false, true])
      opCase(
        `${H} units${reverse ? ", in reverse" : ""}`,
        { dy: { shape: [21, H] }, z: { shape: [21, 4 * H] }, weight: { shape: [4 * H, H] }, offsets },
        ({ dy, z, weight, offsets }) => lstmGrad({ dy, z, weight, offsets }, { reverse }),
        { gradients: false },
      );
});

describe("torch.nn.LSTM in both directions: output and every gradient", () => {
  const fixture = fixtureTensors("lstm.safetensors");
  const of = (name: string) => fixture.get(name) as Float64Array;
  const [I, H, N] = [7, 6, 20];
  for (const device of devices)
    test.skipIf(device.missing)(device.name, async () => {
      const trace = new Trace();
      const parameters = new Map<Value, Value>();
      const parameter = (name: string, shape: number[]) => {
        const value = trace.state(name, shape);
        parameters.set(value, trace.state(`gradient.${name}`, shape));
        return value;
      };
      const input = parameter("input", [N, I]);
      const offsets = trace.input("offsets", [6], "u32");
      const direction = (suffix: string, reverse: boolean) => {
        const bias = add(parameter(`bias_ih_l0${suffix}`, [4 * H]), parameter(`bias_hh_l0${suffix}`, [4 * H]));
        const x = linear(input, parameter(`weight_ih_l0${suffix}`, [4 * H, I]), bias);
        return lstm({ x, weight: parameter(`weight_hh_l0${suffix}`, [4 * H, H]), offsets }, { reverse });
      };
      const output = concat({ a: direction("", false), b: direction("_reverse", true) }, {});
      const kept = keep(output, "output");
      const dy = trace.input("dy", [N, 2 * H]);
      gradient(output, parameters, dy);
      const executor = await device.make();
      const loaded = executor.load(trace.finish("both directions"));
      executor.write(offsets, Uint32Array.from(of("offsets")));
      for (const value of [dy, ...parameters.keys()]) executor.write(value, of(value.name));
      executor.run(loaded);
      for (const value of [kept, ...parameters.values()])
        expect(distance(await executor.read(value), of(value.name)), value.name).toBeLessThanOrEqual(device.tolerance);
      executor.dispose();
    });
});

test("the number of threads changes no bit", async ({ skip }) => {
  const alone = here.runtime.oneThread?.();
  skip(alone !== undefined, alone);
  const bits: string[] = [];
  for (const threads of [1, 2, 3]) {
    const trace = new Trace();
    const [dy, x, W] = [trace.input("dy", [21, 13]), trace.input("x", [21, 52]), trace.input("W", [52, 13])];
    const rows = trace.input("offsets", [7], "u32");
    const direction = { reverse: true };
    const results = [
      keep(lstm({ x, weight: W, offsets: rows }, direction), "h"),
      keep(lstmGrad({ dy, z: x, weight: W, offsets: rows }, direction), "dz"),
    ];
    const executor = await WasmExecutor.create(here.runtime, { threads });
    const loaded = executor.load(trace.finish("threads"));
    const random = new Random(4, "threads");
    executor.write(rows, Uint32Array.from(offsets.data));
    for (const value of [dy, x, W])
      executor.write(
        value,
        Float32Array.from({ length: sizeOf(value) }, () => random.normal()),
      );
    executor.run(loaded);
    bits.push((await Promise.all(results.map((value) => executor.read(value)))).join());
    executor.dispose();
  }
  expect(bits[1]).toBe(bits[0]);
  expect(bits[2]).toBe(bits[0]);
});

describe("shift", () => {
  for (const by of [1, -1, 2])
    opCase(`by ${by}`, { x: { shape: [21, 6] }, offsets }, ({ x, offsets }) => shift({ x, offsets }, { by }));
});
