// What is used of a GPU only where it is there, and can be left alone.

import { describe, expect, test } from "vitest";
import { type Adapter, FEATURES, type Feature, findAdapter } from "../../src/executors/adapter.ts";
import { subgroupOf } from "../../src/executors/pipelines.ts";
import { WebgpuExecutor } from "../../src/executors/webgpu.ts";
import { keep, layerNorm, softmax, sum } from "../../src/ops/index.ts";
import { Trace } from "../../src/program/program.ts";
import { Random } from "../../src/random.ts";
import { isRounding, requireRight, selfTest } from "../../src/train/selfTest.ts";
import { here } from "../hosts/here.ts";
import { posing } from "../train/gpus.ts";
import { bytesOf, tinyRun } from "../train/tiny.ts";
import { webgpu } from "./each.ts";

const gpu = async (): Promise<GPU> => (await here.runtime.gpu?.()) as GPU;
const adapter = async (): Promise<Adapter> => findAdapter(await gpu());

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

  test("without any feature every kernel is right", async () => {
    const executor = await WebgpuExecutor.create(await adapter(), undefined, []);
    for (const [name, error] of await selfTest(executor)) expect(isRounding(error), name).toBe(true);
    executor.dispose();
  });

  test("subgroups that give a wrong neighbour are refused by name", async ({ skip }) => {
    const { name, features } = await adapter();
    skip(!features.has("subgroups"), "this GPU has no subgroups");
    const lying = posing(await gpu(), { description: name }, (device) => {
      const make = device.createShaderModule.bind(device);
      device.createShaderModule = ({ label, code }) =>
        make({
          label,
          code: code.replaceAll("subgroupShuffleXor(value, reach)", "subgroupShuffleXor(value, reach / 2u)"),
        });
      return device;
    });
    const executor = await WebgpuExecutor.create(await findAdapter(lying));
    await expect(requireRight(executor, name)).rejects.toMatchObject({
      ...{ code: "GPU_WRONG", message: expect.stringMatching(/computes wrongly: .*layerNorm is off by/) },
    });
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
});
