// What this machine has for limbeck: WASM and its threads, GPU adapters, how right the kernels are on each, and what `auto` chooses.

import { type Adapter, findAdapter } from "../executors/adapter.ts";
import type { Executor } from "../executors/executor.ts";
import { type WasmFeatures, wasmFeatures } from "../executors/wasmFeatures.ts";
import { WebgpuExecutor } from "../executors/webgpu.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { isRounding, selfTest } from "./selfTest.ts";
import { hostGpu, openDevice } from "./session.ts";

/** An executor as it was found. */
export interface Examined {
  /** Why it does not run; absent when it does. */
  readonly problem?: string;
  /** Each kernel's largest error, relative to the largest number of its result. */
  readonly errors: Readonly<Record<string, number>>;
  /** Kernels whose error is more than rounding. */
  readonly wrong: readonly string[];
}

export interface Diagnosis {
  readonly host: string;
  readonly cores: number;
  /** Bytes of main memory, where the host tells. */
  readonly memory?: number;
  readonly wasm: Examined & WasmFeatures & { readonly threads: number };
  readonly webgpu: Examined & {
    /** The first is the one that would be used. */
    readonly adapters: readonly (Pick<Adapter, "name" | "kind"> & {
      readonly features: readonly string[];
      readonly limits: Readonly<Record<string, number>>;
    })[];
  };
  /** What `--device auto` chooses, and why. */
  readonly auto: string;
}

export async function doctor(runtime: Runtime): Promise<Diagnosis> {
  let threads = 0;
  const wasm = await examine(async () => {
    const device = await openDevice(runtime, { device: "wasm" });
    threads = device.threads;
    return device.executor;
  });
  const adapters: Adapter[] = [];
  const webgpu = await examine(async () => {
    adapters.push(...(await adaptersOf(runtime)));
    return WebgpuExecutor.create(adapters[0]);
  });
  return {
    ...{ host: runtime.name, cores: runtime.cores(), memory: runtime.memory?.(), auto: await choice(runtime) },
    wasm: { ...wasm, ...wasmFeatures(), threads },
    webgpu: {
      ...webgpu,
      adapters: adapters.map(({ name, kind, features, limits }) => ({
        ...{ name, kind, features: [...features].sort() },
        limits: numbersOf(limits),
      })),
    },
  };
}

async function examine(open: () => Promise<Executor>): Promise<Examined> {
  let executor: Executor | undefined;
  try {
    executor = await open();
    const errors = Object.fromEntries(await selfTest(executor));
    return { errors, wrong: Object.keys(errors).filter((name) => !isRounding(errors[name])) };
  } catch (error) {
    return { problem: messageOf(error), errors: {}, wrong: [] };
  } finally {
    executor?.dispose();
  }
}

async function choice(runtime: Runtime): Promise<string> {
  try {
    const { executor, choice } = await openDevice(runtime, { device: "auto" });
    executor.dispose();
    return choice;
  } catch (error) {
    return `nothing: ${messageOf(error)}`;
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** Those that a host shows to who asks for speed, for little power, and for one that always works. */
async function adaptersOf(runtime: Runtime): Promise<Adapter[]> {
  const gpu = await hostGpu(runtime);
  const found = [await findAdapter(gpu)];
  for (const wish of [{ powerPreference: "low-power" }, { forceFallbackAdapter: true }] as const) {
    const other = await findAdapter(gpu, wish).catch(() => undefined);
    if (other && found.every(({ name }) => name !== other.name)) found.push(other);
  }
  return found;
}

/** WebGPU keeps limits in getters of a prototype. */
function numbersOf(limits: GPUSupportedLimits): Record<string, number> {
  const numbers: Record<string, number> = {};
  for (const name in limits) {
    const value: unknown = limits[name as keyof GPUSupportedLimits];
    if (typeof value === "number") numbers[name] = value;
  }
  return numbers;
}
