// Which adapters are taken for what, and how much a device is asked for.

import { describe, expect, test } from "vitest";
import { findAdapter, kindOf } from "../../src/executors/adapter.ts";
import { DEFAULT_LIMITS, type Limits, limitsFor, requireLimits } from "../../src/executors/needs.ts";
import { WebgpuExecutor } from "../../src/executors/webgpu.ts";
import { gather, keep } from "../../src/ops/index.ts";
import { Trace } from "../../src/program/program.ts";
import { forwardProgram } from "../../src/train/programs.ts";
import { here } from "../hosts/here.ts";
import { tinyConfig } from "../train/tiny.ts";
import { webgpu } from "./each.ts";

/** y = the last row of x. x: [rows, 1000] */
function lastRow(rows: number) {
  const trace = new Trace();
  const x = trace.input("x", [rows, 1000]);
  const [ids, order] = [trace.input("ids", [1], "u32"), trace.input("order", [1], "u32")];
  const y = keep(gather({ table: x, ids, order }, {}), "y");
  return { x, ids, y, program: trace.finish("last row") };
}

/** As much of a GPU as opening needs; it remembers what it was asked for. */
function double(info: Partial<GPUAdapterInfo>, limits: Partial<Limits> = {}) {
  const asked: Record<string, number>[] = [];
  const adapter = {
    ...{ info, features: new Set<string>(), limits: { ...DEFAULT_LIMITS, ...limits } },
    async requestDevice({ requiredLimits }: { requiredLimits: Record<string, number> }) {
      asked.push(requiredLimits);
      throw new Error("there is only a double");
    },
  };
  return { gpu: { requestAdapter: async () => adapter } as unknown as GPU, asked };
}

test.each([
  ["software", { vendor: "google", architecture: "swiftshader", isFallbackAdapter: false }],
  ["software", { vendor: "65541", architecture: "", device: "0", description: "llvmpipe (LLVM 15.0.6, 256 bits)" }],
  ["software", { description: "Microsoft Basic Render Driver" }],
  ["software", { vendor: "microsoft", architecture: "warp" }],
  ["software", { description: "Apple Software Renderer" }],
  ["software", { vendor: "", architecture: "", isFallbackAdapter: true }],
  ["hardware", { vendor: "nvidia", architecture: "hopper", device: "", description: "" }],
  ["hardware", { vendor: "apple", architecture: "metal-3", isFallbackAdapter: false }],
  ["hardware", { description: "Radeon RX 6800 (Warpspeed edition)" }],
  ["unknown", { vendor: "", architecture: "", device: "", description: "", isFallbackAdapter: false }],
  ["unknown", { vendor: "0", architecture: "", device: "0", description: "" }],
  ["unknown", {}],
] as const)("%s: %j", (kind, info) => {
  expect(kindOf(info)).toBe(kind);
});

test("default limits do for a small model; a value that is larger asks for more, as far as the adapter goes", async () => {
  const forward = forwardProgram({ owner: "m", config: tinyConfig(2) }, { sequences: 8, rows: 64, longest: 16 });
  expect(limitsFor([forward])).toEqual(DEFAULT_LIMITS);
  const { gpu, asked } = double({ vendor: "amd" }, { maxStorageBufferBindingSize: 150_000_000, maxBufferSize: 4e9 });
  const wanted = [[forward], [forward, lastRow(40_000).program], [lastRow(80_000).program]].map(limitsFor);
  for (const limits of wanted)
    await expect((await findAdapter(gpu)).device(limits)).rejects.toMatchObject({
      ...{ code: "GPU_REFUSED", message: expect.stringContaining("amd gave no device: there is only a double") },
    });
  expect(asked).toEqual([
    {},
    { maxStorageBufferBindingSize: 150_000_000 },
    { maxStorageBufferBindingSize: 150_000_000, maxBufferSize: 320_000_000 },
  ]);
  // What even the adapter does not have is said when the program is loaded.
  expect(() => requireLimits(lastRow(80_000).program, "amd", { ...DEFAULT_LIMITS, ...asked[2] })).toThrow(
    "x: [80000,1000] takes 320000000 bytes, and amd allows at most 150000000 (maxStorageBufferBindingSize)",
  );
  const refused = () => requireLimits(lastRow(80_000).program, "amd", DEFAULT_LIMITS);
  expect(refused).toThrow(expect.objectContaining({ code: "GPU_LIMIT" }));
});

test("no adapter is an error that says what to do", async () => {
  const gpu = { requestAdapter: async () => null } as unknown as GPU;
  await expect(findAdapter(gpu)).rejects.toMatchObject({
    code: "NO_ADAPTER",
    message: expect.stringMatching(/wasm/),
  });
});

describe.skipIf(webgpu.missing)(`opening ${webgpu.name}`, () => {
  test("a value beyond the default limits runs when the device was asked for it", async ({ skip }) => {
    const { x, ids, y, program } = lastRow(40_000);
    const adapter = await findAdapter((await here.runtime.gpu?.()) as GPU);
    // Mesa 22's llvmpipe binds 128 MiB, which is the default, and no more.
    const most = adapter.limits.maxStorageBufferBindingSize;
    skip(most < 160_000_000, `${adapter.name} binds at most ${most} bytes`);
    const executor = await WebgpuExecutor.create(adapter, limitsFor([program]));
    const numbers = new Float32Array(40_000_000);
    numbers[39_999_999] = 7;
    executor.write(x, numbers);
    executor.write(ids, Uint32Array.of(39_999));
    executor.run(executor.load(program));
    expect((await executor.read(y))[999]).toBe(7);
    executor.dispose();
  });

  test("a given device is borrowed: its limits are what they are, and dispose frees the buffers and leaves it alive", async () => {
    const gpu = (await here.runtime.gpu?.()) as GPU;
    const device = (await (await gpu.requestAdapter())?.requestDevice()) as GPUDevice;
    const alive: GPUBuffer[] = [];
    const make = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const buffer = make(descriptor);
      const destroy = buffer.destroy.bind(buffer);
      buffer.destroy = () => {
        alive.splice(alive.indexOf(buffer), 1);
        return destroy();
      };
      alive.push(buffer);
      return buffer;
    };
    const { x, ids, y, program } = lastRow(3);
    const huge = lastRow(40_000).program;
    for (let turn = 0; turn < 2; turn++) {
      const executor = await WebgpuExecutor.create(await findAdapter(device), limitsFor([huge]));
      expect(() => executor.load(huge)).toThrow("134217728");
      executor.write(x, new Float32Array(3000).fill(turn + 1));
      executor.write(ids, Uint32Array.of(2));
      executor.run(executor.load(program));
      expect((await executor.read(y))[999]).toBe(turn + 1);
      expect(alive.length).toBeGreaterThan(0);
      executor.dispose();
      expect(alive.map(({ label }) => label)).toEqual([]);
    }
    device.destroy();
    expect((await device.lost).reason).toBe("destroyed");
    expect(gpu).toBeDefined();
  });

  test("a device of its own ends with the executor", async () => {
    const adapter = await findAdapter((await here.runtime.gpu?.()) as GPU);
    const device = await adapter.device();
    const executor = await WebgpuExecutor.create({ ...adapter, device: async () => device });
    executor.dispose();
    expect((await device.lost).reason).toBe("destroyed");
  });
});
