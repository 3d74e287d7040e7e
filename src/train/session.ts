// What every command needs around a model: where files come from, which executor runs, and what the user is told about it.

import { type Dataset, type DatasetOptions, readDataset } from "../data/dataset.ts";
import { InputError, LimbeckError } from "../errors.ts";
import { type Adapter, type Feature, findAdapter, USE_WASM } from "../executors/adapter.ts";
import type { Executor } from "../executors/executor.ts";
import { limitsFor } from "../executors/needs.ts";
import type { Profile } from "../executors/profile.ts";
import { ReferenceExecutor } from "../executors/reference.ts";
import { WasmExecutor } from "../executors/wasm.ts";
import { WebgpuExecutor } from "../executors/webgpu.ts";
import type { CommonConfig } from "../formats/config.ts";
import type { Files } from "../formats/files.ts";
import { isRemote, readUrl, remoteFolder } from "../formats/remote.ts";
import type { Program } from "../program/program.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { DEVICE, type DeviceOptions } from "./options.ts";
import { requireFaster } from "./probe.ts";
import { requireRight } from "./selfTest.ts";

/** A folder: its path where the runtime has paths, `hf:org/model[@revision]`, a URL, or its files. */
export type FolderSource = string | Files;
/** A file of examples: its path, a URL, or its name and bytes. */
export type DataSource = string | { readonly name: string; readonly bytes: Uint8Array };

const MOST_THREADS = 8;

export interface Device {
  readonly executor: Executor;
  readonly threads: number;
  /** One sentence: what runs, and why. */
  readonly choice: string;
  /** The GPU's name. */
  readonly adapter?: string;
  /** Absent: strict, or the GPU's own. */
  readonly numerics?: "fast";
  /** After its device was lost: another one of the same GPU, tested as the first. Absent where nothing can be lost. */
  readonly again?: () => Promise<Device>;
}

/** What will run, as far as that is known: a GPU is asked for larger limits than WebGPU's own only if these programs need them. */
type Programs = () => Iterable<Program>;

/** What a run wants of its device beyond what every device can do. */
interface Extras {
  readonly profile?: Profile;
  /** Nothing is trained: under WASM weights may be kept packed for products too. */
  readonly frozen?: boolean;
  /** Half precision: of a GPU alone, because WASM would only round to it. */
  readonly fp16?: boolean;
}

/** What a GPU is asked for. */
interface Wishes extends Extras {
  readonly programs: Programs;
  readonly features: readonly Feature[];
}

const noHalf = (why: string) =>
  new InputError("FP16", `half precision needs a GPU with shader-f16: ${why}; leave --fp16 out.`, { where: "--fp16" });

export async function openDevice(
  runtime: Runtime,
  options: Partial<DeviceOptions>,
  programs: Programs = () => [],
  { profile, frozen, fp16 = false }: Extras = {},
): Promise<Device> {
  const useful = options.gpuFeatures ?? DEVICE.gpuFeatures;
  const features = useful.filter((name) => fp16 || name !== "shader-f16");
  const gpu: Wishes = { programs, profile, frozen, fp16, features };
  const device = options.device ?? DEVICE.device;
  if (fp16 && (device === "wasm" || device === "reference")) throw noHalf(`${device} would only round to it`);
  if (typeof device === "object") return openGpu(() => findAdapter(device), gpu);
  switch (device) {
    case "reference":
      if (profile)
        throw new InputError("PROFILE", "the reference executor is not timed; use wasm or webgpu.", {
          where: "--profile",
        });
      return {
        ...{ executor: new ReferenceExecutor(), threads: 1 },
        choice: "reference: plain TypeScript in f64, for checking",
      };
    case "wasm":
      return openWasm(runtime, options, { profile, frozen });
    case "webgpu":
      return openGpu(async () => findAdapter(await hostGpu(runtime)), gpu);
    case "auto":
      return openBest(runtime, options, gpu);
    default:
      throw new InputError("DEVICE", `there is no device "${device}"; known: auto, wasm, webgpu, reference.`, {
        where: "--device",
      });
  }
}

async function openWasm(
  runtime: Runtime,
  options: Partial<DeviceOptions>,
  { profile, frozen }: Extras = {},
): Promise<Device> {
  const threads = options.threads || Math.min(MOST_THREADS, runtime.cores());
  const executor = await WasmExecutor.create(runtime, { threads, numerics: options.numerics, profile, frozen });
  const why = executor.note ?? `${executor.threads} thread${executor.threads === 1 ? "" : "s"}`;
  const { is, wanted } = executor.numerics;
  const lacking = is === wanted ? "" : ` (${wanted} ones need relaxed SIMD, which this host's WebAssembly lacks)`;
  const choice = `wasm: SIMD, ${is} numerics${lacking}, ${why}`;
  return { executor, threads: executor.threads, choice, ...(is === "fast" ? { numerics: is } : {}) };
}

/** The GPU of the host; an error when it has none. */
export async function hostGpu(runtime: Runtime): Promise<GPU> {
  const gpu = await runtime.gpu?.();
  if (!gpu) throw new InputError("NO_WEBGPU", `${runtime.name} has no WebGPU${USE_WASM}`);
  return gpu;
}

/** A GPU that computes rightly. `check` may refuse it for more, or return what speaks for it. */
async function openGpu(
  find: () => Promise<Adapter>,
  wishes: Wishes,
  check?: (adapter: Adapter, executor: Executor) => Promise<string | undefined>,
): Promise<Device> {
  const adapter = await find();
  if (wishes.fp16 && !wishes.features.includes("shader-f16")) throw noHalf("--gpu-features leaves that out");
  if (wishes.fp16 && !adapter.features.has("shader-f16")) throw noHalf(`${adapter.name} has none`);
  const executor = await WebgpuExecutor.create(adapter, limitsFor(wishes.programs()), wishes.features);
  try {
    const right = await requireRight(executor, adapter.name);
    const said = [adapter.name, await check?.(adapter, executor), right].filter((phrase) => phrase !== undefined);
    if (wishes.profile) await executor.profileInto(wishes.profile);
    return {
      ...{ executor, threads: 1, choice: `webgpu: ${said.join(", ")}`, adapter: adapter.name },
      again: () => openGpu(adapter.borrowed ? gone : find, wishes, check),
    };
  } catch (error) {
    executor.dispose();
    throw error;
  }
}

async function gone(): Promise<never> {
  throw new LimbeckError("GPU_LOST", "the given device was lost, and only who gave it can make another");
}

/** The host's GPU if it is one and computes rightly; otherwise WASM, and why. */
async function openBest(runtime: Runtime, options: Partial<DeviceOptions>, wishes: Wishes): Promise<Device> {
  const find = async () => {
    const adapter = await findAdapter(await hostGpu(runtime));
    if (adapter.kind !== "software") return adapter;
    const advice = "runs only when it is asked for by name, --device webgpu";
    throw new LimbeckError("GPU_SOFTWARE", `${adapter.name} computes on the CPU and ${advice}`);
  };
  const check = async ({ kind, name }: Adapter, executor: Executor) => {
    if (kind !== "unknown") return undefined;
    const wasm = await openWasm(runtime, options);
    try {
      return await requireFaster(executor, wasm.executor, name);
    } finally {
      wasm.executor.dispose();
    }
  };
  try {
    return await openGpu(find, wishes, check);
  } catch (error) {
    if (error instanceof InputError && error.code === "FP16") throw error;
    const why = (error instanceof Error ? error.message : String(error)).replace(USE_WASM, "");
    if (wishes.fp16) throw noHalf(why);
    const wasm = await openWasm(runtime, options, wishes);
    return { ...wasm, choice: `${wasm.choice}, because ${why}` };
  }
}

/** The last part of a path: what a model card may say of where things lay. */
export function baseName(path: string): string {
  return path.split(/[\\/]/).filter(Boolean).at(-1) ?? path;
}

export function openFolder(runtime: Runtime, source: FolderSource): Files {
  if (typeof source !== "string") return source;
  return isRemote(source) ? remoteFolder(source, runtime.downloads?.() ?? {}) : runtime.folder(source);
}

/** A file by its path, a URL, or as it is. */
export async function openFile(runtime: Runtime, source: DataSource): Promise<{ name: string; bytes: Uint8Array }> {
  if (typeof source !== "string") return source;
  const bytes = isRemote(source) ? await readUrl(source, runtime.downloads?.() ?? {}) : await runtime.readFile(source);
  return { name: source, bytes };
}

export async function openData(runtime: Runtime, source: DataSource, options: DatasetOptions): Promise<Dataset> {
  const { name, bytes } = await openFile(runtime, source);
  return readDataset(bytes, name, options);
}

/** Tokens a sequence may have: the option, or the model's own limit; an option beyond that limit is refused. */
export function maxLengthFor(configs: readonly CommonConfig[], wanted: number): number {
  const limit = Math.min(...configs.map((config) => config.max_position_embeddings));
  if (wanted > limit && wanted !== 0)
    throw new InputError("MAX_LENGTH", `${wanted} tokens, but the model has positions for ${limit} only.`, {
      where: "--max-length",
    });
  return wanted === 0 ? limit : wanted;
}
