// What is used of a GPU only where it is there, and can be left alone; and where the time of kernels goes.

import { describe, expect, test } from "vitest";
import { type Adapter, FEATURES, type Feature, findAdapter } from "../../src/executors/adapter.ts";
import { subgroupOf } from "../../src/executors/pipelines.ts";
import { Profile, shareOfLimit } from "../../src/executors/profile.ts";
import { WasmExecutor } from "../../src/executors/wasm.ts";
import { WebgpuExecutor } from "../../src/executors/webgpu.ts";
import { keep, layerNorm, linear, softmax, sum } from "../../src/ops/index.ts";
import { Trace } from "../../src/program/program.ts";
import { Random } from "../../src/random.ts";
import { profileTable } from "../../src/train/profileTable.ts";
import { isRounding, selfTest } from "../../src/train/selfTest.ts";
import { here } from "../hosts/here.ts";
import { posing } from "../train/gpus.ts";
import { bytesOf, tinyRun } from "../train/tiny.ts";
import { webgpu } from "./each.ts";

const gpu = async (): Promise<GPU> => (await here.runtime.gpu?.()) as GPU;
const adapter = async (): Promise<Adapter> => findAdapter(await gpu());

/** Cases of the self-test with sums or maxima of a row. */
const SUMS = ["layerNorm", "attention", "crossEntropy", "sum"];

/** layerNorm, softmax and a sum, of rows that are no multiple of anything. */
function reductions() {
  const trace = new Trace();
  const [x, gamma, beta] = [trace.input("x", [21, 53]), trace.input("gamma", [53]), trace.input("beta", [53])];
  const long = trace.input("long", [999]);
  const y = softmax({ x: layerNorm({ x, gamma, beta }, { epsilon: 1e-12 }) }, {});
  const results = [keep(y, "y"), keep(sum({ x: long }, {}), "sum")];
  return { inputs: [x, gamma, beta, long], results, program: trace.finish("reductions") };
}

describe.skipIf(webgpu.missing)(`features of ${webgpu.name}`, () => {
  test("subgroups change no bit of a reduction and none of a training", async ({ skip }) => {
    skip(!(await adapter()).features.has("subgroups"), "this GPU has no subgroups");
    const runs = [];
    for (const features of [["subgroups"], []] satisfies Feature[][]) {
      const executor = await WebgpuExecutor.create(await adapter(), undefined, features);
      const { inputs, results, program } = reductions();
      const random = new Random(1, "rows");
      for (const value of inputs) {
        const size = value.shape.reduce((a, b) => a * b);
        executor.write(
          value,
          Float32Array.from({ length: size }, () => random.normal()),
        );
      }
      executor.run(executor.load(program));
      const numbers = await Promise.all(results.map((value) => executor.read(value)));
      const { losses, weights } = await tinyRun(executor, 2, 7);
      runs.push({ numbers, losses, weights: bytesOf(weights) });
      executor.dispose();
    }
    expect(runs[0]).toEqual(runs[1]);
    // Rows of a softmax.
    expect([...runs[0].numbers[0]].reduce((all, part) => all + part)).toBeCloseTo(21, 4);
  });

  test("without any feature sums and maxima of a row are right [G3]", async () => {
    const executor = await WebgpuExecutor.create(await adapter(), undefined, []);
    for (const [name, error] of await selfTest(executor, SUMS)) expect(isRounding(error), name).toBe(true);
    executor.dispose();
  });

  test("the self-test sees subgroups that give a wrong neighbour", async ({ skip }) => {
    skip(!(await adapter()).features.has("subgroups"), "this GPU has no subgroups");
    const lying = posing(await gpu(), { description: "a GPU that lies" }, (device) => {
      const make = device.createShaderModule.bind(device);
      device.createShaderModule = ({ label, code }) =>
        make({
          label,
          code: code.replaceAll("subgroupShuffleXor(value, reach)", "subgroupShuffleXor(value, reach / 2u)"),
        });
      return device;
    });
    const executor = await WebgpuExecutor.create(await findAdapter(lying));
    for (const [name, error] of await selfTest(executor, SUMS)) expect(isRounding(error), name).toBe(false);
    executor.dispose();
  });

  test("features are asked for where the adapter has them, and not when they are left out", async () => {
    const { features } = await adapter();
    const all = await (await adapter()).device();
    for (const name of FEATURES) expect(all.features.has(name), name).toBe(features.has(name));
    // A size that the device does not tell is taken for 1.
    const size = (features.has("subgroups") && all.adapterInfo?.subgroupMinSize) || 1;
    expect(subgroupOf(all)).toBe(size);
    // A device that somebody else made has what it has: it is left alone.
    expect(subgroupOf(all, [])).toBe(1);
    all.destroy();
    const none = await (await adapter()).device(undefined, []);
    for (const name of FEATURES) expect(none.features.has(name), name).toBe(false);
    expect(subgroupOf(none)).toBe(1);
    none.destroy();
  });

  test("a profile has every dispatch with its time, and what the device can do", async ({ skip }) => {
    skip(!(await adapter()).features.has("timestamp-query"), "this GPU has no timestamps");
    const profile = new Profile();
    const executor = await WebgpuExecutor.create(await adapter());
    await executor.profileInto(profile);
    const { inputs, program } = reductions();
    for (const value of inputs) executor.write(value, new Float32Array(value.shape.reduce((a, b) => a * b)).fill(1));
    const loaded = executor.load(program);
    for (let i = 0; i < 3; i++) executor.run(loaded);
    await executor.finished();
    executor.dispose();
    const rows = profile.rows();
    expect(rows.map(({ kernel, calls }) => [kernel, calls]).sort()).toEqual([
      ["copy", 6],
      ["layerNorm", 3],
      ["softmax", 3],
      ["sum", 3],
    ]);
    for (const { kernel, milliseconds } of rows) expect(milliseconds, kernel).toBeGreaterThan(0);
    // x, y, γ, β.
    expect(rows.find(({ kernel }) => kernel === "layerNorm")?.bytes).toBe(3 * 4 * (2 * 21 * 53 + 2 * 53));
    expect(profile.limits.flops).toBeGreaterThan(1e6);
    expect(profile.limits.bytes).toBeGreaterThan(1e6);
  });

  test("a profile without timestamps is refused by name", async () => {
    const executor = await WebgpuExecutor.create(await adapter(), undefined, ["subgroups"]);
    await expect(executor.profileInto(new Profile())).rejects.toMatchObject({ code: "GPU_FEATURE" });
    executor.dispose();
  });
});

test("under WASM a profile has every command, and changes no number", async () => {
  const profile = new Profile();
  const outputs = [];
  for (const options of [{ threads: here.threads[0], profile }, { threads: here.threads[0] }]) {
    const executor = await WasmExecutor.create(here.runtime, options);
    const trace = new Trace();
    const [x, weight] = [trace.input("x", [40, 24]), trace.input("weight", [32, 24])];
    const y = keep(softmax({ x: linear(x, weight) }, {}), "y");
    const random = new Random(2, "profile");
    for (const [value, n] of [
      [x, 960],
      [weight, 768],
    ] as const)
      executor.write(
        value,
        Float32Array.from({ length: n }, () => random.normal()),
      );
    const loaded = executor.load(trace.finish("profiled"));
    for (let i = 0; i < 2; i++) executor.run(loaded);
    outputs.push(await executor.read(y));
    executor.dispose();
  }
  expect(outputs[0]).toEqual(outputs[1]);
  const rows = profile.rows();
  const product = rows.find(({ kernel }) => kernel === "matmul");
  expect(product).toMatchObject({ calls: 2, flops: 2 * 2 * 40 * 32 * 24, bytes: 2 * 4 * (960 + 768 + 1280) });
  expect(rows.map(({ kernel, calls }) => `${kernel} ${calls}`)).toContain("softmax 2");
  // A browser's clock has steps that are longer than these commands.
  for (const { milliseconds } of rows) expect(milliseconds).toBeGreaterThanOrEqual(0);
  for (const limit of [profile.limits.flops, profile.limits.bytes]) {
    expect(limit).toBeGreaterThan(1e7);
    expect(limit).toBeLessThan(1e13);
  }
});

test("the table shows the dearest first, small ones together, and the share of the limit", () => {
  const profile = new Profile();
  profile.add("sum", 1, { flops: 0, bytes: 5e6 });
  profile.add("fill", 0.4, { flops: 0, bytes: 1 });
  for (let i = 0; i < 4; i++) profile.add("matmul", 25, { flops: 1e10, bytes: 1e6 });
  profile.limits = { flops: 1e12, bytes: 1e11 };
  expect(shareOfLimit(profile.rows()[0], profile.limits)).toBeCloseTo(0.4);
  expect(profileTable(profile).split("\n")).toEqual([
    "| kernel | calls | ms | of all | GFLOP/s | GB/s | of the limit |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    "| matmul | 4 | 100.0 | 98.6 % | 400.0 | 0.0 | 40.0 % |",
    "| sum | 1 | 1.0 | 1.0 % |  | 5.0 | 5.0 % |",
    "| 1 other | 1 | 0.4 | 0.4 % |  |  |  |",
    "",
    "Limit: 1000.0 GFLOP/s in registers, 100.0 GB/s copied, measured before the run.",
  ]);
});

test("a profile under WASM is refused where the clock stands still, as it does in Cloudflare's workers", async () => {
  const { now } = performance;
  performance.now = () => 1;
  const profile = new Profile();
  try {
    await expect(WasmExecutor.create(here.runtime, { threads: 1, profile })).rejects.toMatchObject({ code: "PROFILE" });
  } finally {
    performance.now = now;
  }
});
