// The executors that a test body runs on, on any host.

import { vi } from "vitest";
import { FEATURES } from "../../src/executors/adapter.ts";
import type { Executor } from "../../src/executors/executor.ts";
import { ReferenceExecutor } from "../../src/executors/reference.ts";
import { type Numerics, WasmExecutor } from "../../src/executors/wasm.ts";
import { wasmFeatures } from "../../src/executors/wasmFeatures.ts";
import { WebgpuExecutor, type WebgpuOptions } from "../../src/executors/webgpu.ts";
import { here } from "../hosts/here.ts";

export interface Device {
  readonly name: string;
  /** Relative to the largest number of a tensor: f64 rounding, or f32 rounding times the length of the sums. */
  readonly tolerance: number;
  readonly make: (options?: WebgpuOptions) => Promise<Executor>;
  /** Why it cannot run here; its tests are then skipped by name. */
  readonly missing?: string;
}

export const wasm = (threads: number, numerics: Numerics = "strict"): Device => ({
  name: `wasm, ${threads} thread${threads > 1 ? "s" : ""}${numerics === "fast" ? ", fast numerics" : ""}`,
  // f32 has 6e-8; sums of a few hundred terms lose less than a digit and a half.
  tolerance: 3e-6,
  make: () => WasmExecutor.create(here.runtime, { threads, numerics }),
});

/** An adapter of this host. In Node Dawn's objects die with the one they came from: whoever holds a device must hold `keep`. */
export async function openAdapter(): Promise<{ adapter: GPUAdapter; keep: unknown[] }> {
  const gpu = await here.runtime.gpu?.();
  const adapter = await gpu?.requestAdapter();
  if (!adapter) throw new Error("no adapter");
  return { adapter, keep: [gpu, adapter] };
}

/** Keeps what was compiled: each executor asks anew, and a driver without a GPU takes most of a test's time for it. */
function compilingOnce(device: GPUDevice): GPUDevice {
  const [module, now, later] = [
    device.createShaderModule.bind(device),
    device.createComputePipeline.bind(device),
    device.createComputePipelineAsync.bind(device),
  ];
  const modules = new Map<string, GPUShaderModule>();
  const pipelines = new Map<GPUShaderModule, Map<string, GPUComputePipeline>>();
  const known = ({ compute }: GPUComputePipelineDescriptor) => pipelines.get(compute.module)?.get(compute.entryPoint!);
  const keep = ({ compute }: GPUComputePipelineDescriptor, pipeline: GPUComputePipeline) => {
    pipelines.set(compute.module, pipelines.get(compute.module) ?? new Map());
    pipelines.get(compute.module)!.set(compute.entryPoint!, pipeline);
    return pipeline;
  };
  device.createShaderModule = (descriptor) => {
    const made = modules.get(descriptor.code) ?? module(descriptor);
    modules.set(descriptor.code, made);
    return made;
  };
  device.createComputePipeline = (descriptor) => known(descriptor) ?? keep(descriptor, now(descriptor));
  device.createComputePipelineAsync = async (descriptor) =>
    known(descriptor) ?? keep(descriptor, await later(descriptor));
  return device;
}

/** One device serves all tests of a file. */
async function openDevice(): Promise<{ device: GPUDevice; adapter: string; keep: unknown[] }> {
  const { adapter, keep } = await openAdapter();
  // As a run opens it: with every feature that limbeck uses and the adapter has.
  const requiredFeatures = FEATURES.filter((name) => adapter.features.has(name));
  const device = compilingOnce(await adapter.requestDevice({ requiredFeatures }));
  return { device, adapter: adapter.info.description, keep };
}

async function findWebgpu(): Promise<Device> {
  let opened: ReturnType<typeof openDevice> | undefined;
  const device = (missing?: string): Device => ({
    name: missing === undefined ? "webgpu" : `webgpu (skipped: ${missing})`,
    // Sums in another order than WASM's, fused or not as the driver likes, and ÷ and √ of 2.5 units in the last place (WGSL).
    tolerance: 5e-6,
    make: async (options) => {
      opened ??= openDevice();
      const { device, adapter } = await opened;
      return new WebgpuExecutor(device, { adapter, borrowed: true, ...options });
    },
    ...(missing === undefined ? {} : { missing }),
  });
  if (here.webgpu === "0") return device("LIMBECK_WEBGPU=0");
  if (here.webgpu === "1") return device();
  opened = openDevice();
  return opened.then(
    () => device(),
    (error: Error) => device(error.message),
  );
}

export const webgpu = await findWebgpu();

// A driver without a GPU takes a minute for what a GPU does in a second.
if (!webgpu.missing) vi.setConfig({ testTimeout: 600_000 });

const reference: Device = { name: "reference", tolerance: 1e-9, make: async () => new ReferenceExecutor() };

/** A host that vitest drives is there for what differs between hosts; f64 in plain TypeScript does not. */
export const devices: readonly Device[] = [
  ...(here.remote ? [] : [reference]),
  ...here.threads.map((threads) => wasm(threads)),
  // Without relaxed SIMD they are the strict kernels once more (numerics.test.ts). Hosts that vitest drives all have the same tests.
  ...(here.remote || wasmFeatures().relaxedSimd ? [wasm(Math.max(...here.threads), "fast")] : []),
  webgpu,
];
