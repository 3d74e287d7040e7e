// The executors that a test body runs on.

import { existsSync } from "node:fs";
import { vi } from "vitest";
import type { Executor } from "../../src/executors/executor.ts";
import { ReferenceExecutor } from "../../src/executors/reference.ts";
import { WasmExecutor } from "../../src/executors/wasm.ts";
import { WebgpuExecutor } from "../../src/executors/webgpu.ts";
import { node } from "../../src/runtimes/node.ts";

export interface Device {
  readonly name: string;
  /** Relative to the largest number of a tensor: f64 rounding, or f32 rounding times the length of the sums. */
  readonly tolerance: number;
  readonly make: () => Promise<Executor>;
  /** Why it cannot run here; its tests are then skipped by name. */
  readonly missing?: string;
}

const wasm = (threads: number): Device => ({
  name: `wasm, ${threads} thread${threads > 1 ? "s" : ""}`,
  // f32 has 6e-8; sums of a few hundred terms lose less than a digit and a half.
  tolerance: 3e-6,
  make: () => WasmExecutor.create(node, { threads }),
});

// Debian's Chromium brings SwiftShader, a Vulkan driver that needs no GPU and that Dawn accepts.
const SWIFTSHADER = "/usr/lib/chromium/vk_swiftshader_icd.json";

/**
 * WebGPU through the package `webgpu`. LIMBECK_WEBGPU=1: it must be there, else the tests fail; 0: it is not looked for; unset: it runs
 * where an adapter is. One device serves all tests of a file.
 */
async function findWebgpu(): Promise<Device> {
  const wanted = process.env.LIMBECK_WEBGPU;
  // Dawn's objects die with the one they came from: whoever holds the device must hold all three.
  const device = (missing?: string, found?: { device: GPUDevice; keep: unknown }, adapter?: string): Device => ({
    name: missing === undefined ? "webgpu" : `webgpu (skipped: ${missing})`,
    // Sums in another order than WASM's, fused or not as the driver likes, and ÷ and √ of 2.5 units in the last place (WGSL).
    tolerance: 5e-6,
    make: async () => new WebgpuExecutor(found!.device, { adapter, borrowed: true }),
    ...(missing === undefined ? {} : { missing }),
  });
  if (wanted === "0") return device("LIMBECK_WEBGPU=0");
  if (existsSync(SWIFTSHADER)) process.env.VK_ICD_FILENAMES ??= SWIFTSHADER;
  try {
    const gpu = await node.gpu?.();
    const adapter = await gpu?.requestAdapter();
    if (!adapter) throw new Error("no adapter");
    const found = await adapter.requestDevice();
    return device(undefined, { device: found, keep: [gpu, adapter] }, adapter.info.description);
  } catch (error) {
    if (wanted === "1") throw error;
    return device((error as Error).message);
  }
}

export const webgpu = await findWebgpu();

// A driver without a GPU takes a minute for what a GPU does in a second.
if (!webgpu.missing) vi.setConfig({ testTimeout: 600_000 });

export const devices: readonly Device[] = [
  { name: "reference", tolerance: 1e-9, make: async () => new ReferenceExecutor() },
  wasm(1),
  wasm(2),
  webgpu,
];
