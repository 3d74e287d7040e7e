// Which device runs, and what the user is told: `auto`, devices by name, and devices that the user brings.

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { DEFAULT_LIMITS, limitsFor } from "../../src/executors/needs.ts";
import { ReferenceExecutor } from "../../src/executors/reference.ts";
import { WasmExecutor } from "../../src/executors/wasm.ts";
import { distill, finetune, loadModel } from "../../src/index.ts";
import { node } from "../../src/runtimes/node.ts";
import type { Runtime } from "../../src/runtimes/runtime.ts";
import { predictionPrograms } from "../../src/train/largest.ts";
import { requireFaster } from "../../src/train/probe.ts";
import { openDevice } from "../../src/train/session.ts";
import { makeTiny, type Tiny } from "../cli/tiny.ts";
import { webgpu } from "../executors/each.ts";
import { posing, wrong } from "./gpus.ts";
import { tinyConfig } from "./tiny.ts";

/** Node with another GPU, or without one. */
const host = (gpu: Runtime["gpu"]): Runtime => ({ ...node, gpu });

async function choiceOn(runtime: Runtime, device: "auto" | "webgpu" = "auto"): Promise<string> {
  const opened = await openDevice(runtime, { threads: 1, device });
  opened.executor.dispose();
  return opened.choice;
}

const WASM = "wasm: SIMD, strict numerics, 1 thread, because ";

describe("auto without a GPU runs on WASM and says why in one sentence [G5]", () => {
  const missing = new InputError(
    "NO_WEBGPU",
    "Node has WebGPU through the package webgpu only: run `npm install webgpu`",
  );
  const adapters = (adapter: () => Promise<unknown>) => async () => ({ requestAdapter: adapter }) as unknown as GPU;
  test.each<[string, Runtime["gpu"], string]>([
    ["no WebGPU", undefined, "node has no WebGPU"],
    [
      "no package",
      () => Promise.reject(missing),
      "Node has WebGPU through the package webgpu only: run `npm install webgpu`",
    ],
    [
      "no adapter",
      adapters(async () => null),
      "WebGPU finds no adapter here: there is no GPU, or no driver that it accepts",
    ],
    ["a driver that throws", adapters(() => Promise.reject(new TypeError("bad instance"))), "bad instance"],
    [
      "a software adapter",
      adapters(async () => ({ info: { description: "llvmpipe (LLVM 15.0.6, 256 bits)" }, limits: DEFAULT_LIMITS })),
      "llvmpipe (LLVM 15.0.6, 256 bits) computes on the CPU and runs only when it is asked for by name, --device webgpu",
    ],
    [
      "an adapter that gives no device",
      adapters(async () => ({
        ...{ info: { vendor: "acme", architecture: "x1" }, limits: DEFAULT_LIMITS, features: new Set() },
        requestDevice: () => Promise.reject(new Error("out of devices")),
      })),
      "acme x1 gave no device: out of devices",
    ],
  ])("%s", async (_, gpu, reason) => {
    expect(await choiceOn(host(gpu))).toBe(`${WASM}${reason}`);
  });

  test("by name it is an error", async () => {
    await expect(choiceOn(host(undefined), "webgpu")).rejects.toMatchObject({ code: "NO_WEBGPU" });
    await expect(choiceOn(host(adapters(async () => null)), "webgpu")).rejects.toThrow(/no adapter.*use --device wasm/);
  });
});

test("an executor that multiplies less than twice as fast as another is no GPU", async () => {
  const [slow, fast] = [new ReferenceExecutor(), await WasmExecutor.create(node, { threads: 1 })];
  expect(await requireFaster(fast, slow, "it", 128)).toMatch(/^\S+ × as fast as WASM$/);
  await expect(requireFaster(slow, fast, "it", 128)).rejects.toThrow(
    /^it does not say what it is and multiplies only 0\.\d+ × as fast as WASM/,
  );
  fast.dispose();
});

test("BERT-base classifies 32 texts of 128 tokens within the default limits; of 512 tokens it needs more", () => {
  const large = { hidden_size: 768, num_attention_heads: 12, intermediate_size: 3072, vocab_size: 30522 };
  const placed = { owner: "m", config: { ...tinyConfig(2), ...large, max_position_embeddings: 512 } };
  expect(limitsFor(predictionPrograms(placed, 128))).toEqual(DEFAULT_LIMITS);
  // The attention of 12 heads: 32 · 512 rows of 12 · 512 numbers.
  const attention = 32 * 512 * 12 * 512 * 4;
  expect(limitsFor(predictionPrograms(placed, 512))).toEqual({
    ...DEFAULT_LIMITS,
    ...{ maxStorageBufferBindingSize: attention, maxBufferSize: attention },
  });
});

describe.skipIf(webgpu.missing)(`devices of ${webgpu.name}`, () => {
  let gpu: GPU;
  let tiny: Tiny;
  beforeAll(async () => {
    gpu = (await node.gpu?.()) as GPU;
    tiny = await makeTiny();
  });
  afterAll(() => tiny?.remove());
  const path = (name: string) => join(tiny.folder, name);
  const training = () => ({ train: path("train.tsv"), maxSteps: 1, batchSize: 8 });

  test("auto takes a GPU that passes the self-test", async () => {
    expect(await choiceOn(host(async () => posing(gpu, { vendor: "acme", architecture: "x1" })))).toMatch(
      /^webgpu: acme x1, \d+ kernels agree with the reference to \S+$/,
    );
  });

  test("auto refuses one that computes wrongly, by name and reason [G5]", async () => {
    const broken = wrong(gpu, { vendor: "acme", architecture: "x1" });
    const reason = /because acme x1 computes wrongly: matmul is off by \S+.* \(at most 0\.0001 is rounding\)$/;
    expect(await choiceOn(host(async () => broken))).toMatch(reason);
    await expect(
      choiceOn(
        host(async () => broken),
        "webgpu",
      ),
    ).rejects.toMatchObject({ code: "GPU_WRONG" });
  });

  test("auto measures one that does not say what it is", async () => {
    // This one computes on the CPU, as WASM does.
    expect(await choiceOn(host(async () => posing(gpu, {})))).toMatch(
      /because an adapter without a name does not say what it is and multiplies only \S+ × as fast as WASM$/,
    );
  });

  test("a GPU and a GPUDevice of the user's serve loadModel, finetune and distill; the device stays alive", async () => {
    const device = (await (await gpu.requestAdapter())?.requestDevice()) as GPUDevice;
    const taught = await finetune({ model: path("base"), device, ...training() }).result;
    expect(taught.notes[0]).toMatch(/^webgpu: .+ kernels agree with the reference/);
    const { model } = await distill({ teacher: taught.model, student: "layers:1", device: gpu, ...training() }).result;
    const onGpu = await loadModel(model, { device });
    const onWasm = await loadModel(model, { device: "wasm", threads: 1 });
    const [found, expected] = await Promise.all([onGpu, onWasm].map((c) => c.predict(["a good room"])));
    expect(found[0].score).toBeCloseTo(expected[0].score, 5);
    for (const classifier of [onGpu, onWasm]) classifier.dispose();
    await device.queue.onSubmittedWorkDone();
    device.destroy();
  });

  test("after a loss the GPU gives another device; a given device does not", async () => {
    const again = async (device: GPU | GPUDevice) => {
      const opened = await openDevice(node, { device });
      opened.executor.dispose();
      return opened.again?.();
    };
    const next = await again(gpu);
    expect(next?.choice).toContain("agree with the reference");
    next?.executor.dispose();
    const device = (await (await gpu.requestAdapter())?.requestDevice()) as GPUDevice;
    await expect(again(device)).rejects.toMatchObject({ code: "GPU_LOST" });
    device.destroy();
  });
});
