// What every command needs around a model: where files come from, which executor runs, and what the user is told about it.

import { type Dataset, type DatasetOptions, readDataset } from "../data/dataset.ts";
import { InputError } from "../errors.ts";
import { findAdapter } from "../executors/adapter.ts";
import type { Executor } from "../executors/executor.ts";
import { ReferenceExecutor } from "../executors/reference.ts";
import { WasmExecutor } from "../executors/wasm.ts";
import { WebgpuExecutor } from "../executors/webgpu.ts";
import type { CommonConfig } from "../formats/config.ts";
import type { Files } from "../formats/files.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { DEVICE, type DeviceOptions } from "./options.ts";
import { requireRight } from "./selfTest.ts";

/** A folder: its path where the runtime has paths, or its files. */
export type FolderSource = string | Files;
/** A file of examples: its path, or its name and bytes. */
export type DataSource = string | { readonly name: string; readonly bytes: Uint8Array };

const MOST_THREADS = 8;

export interface Device {
  readonly executor: Executor;
  readonly threads: number;
  /** One sentence: what runs, and why. */
  readonly choice: string;
  /** After its device was lost: another one of the same GPU, tested as the first. Absent where nothing can be opened again. */
  readonly again?: () => Promise<Device>;
}

export async function openDevice(runtime: Runtime, options: Partial<DeviceOptions>): Promise<Device> {
  const { device, numerics, threads } = { ...DEVICE, ...options };
  if (numerics !== "strict")
    throw new InputError(
      "NUMERICS",
      `numerics "${numerics}" are not built yet; only strict, the reproducible ones, are.`,
      {
        where: "--numerics",
      },
    );
  if (device === "reference")
    return {
      executor: new ReferenceExecutor(),
      threads: 1,
      choice: "reference: plain TypeScript in f64, for checking",
    };
  if (device === "webgpu") return openGpu(runtime);
  if (device !== "wasm" && device !== "auto")
    throw new InputError("DEVICE", `there is no device "${device}"; known: auto, wasm, webgpu, reference.`, {
      where: "--device",
    });
  const wanted = threads > 0 ? threads : Math.min(MOST_THREADS, runtime.cores());
  const executor = await WasmExecutor.create(runtime, { threads: wanted });
  const why = executor.note ?? `${executor.threads} thread${executor.threads === 1 ? "" : "s"}`;
  const reason = device === "auto" ? "; WebGPU runs when it is asked for by name" : "";
  return { executor, threads: executor.threads, choice: `wasm: SIMD, strict numerics, ${why}${reason}` };
}

async function openGpu(runtime: Runtime): Promise<Device> {
  const gpu = await runtime.gpu?.();
  if (!gpu) throw new InputError("NO_WEBGPU", `${runtime.name} has no WebGPU; use wasm.`, { where: "--device webgpu" });
  const executor = await WebgpuExecutor.create(await findAdapter(gpu));
  try {
    const verdict = await requireRight(executor, executor.adapter);
    const choice = `webgpu: ${executor.adapter}, ${verdict}`;
    return { executor, threads: 1, choice, again: () => openGpu(runtime) };
  } catch (error) {
    executor.dispose();
    throw error;
  }
}

/** The last part of a path: what a model card may say of where things lay. */
export function baseName(path: string): string {
  return path.split(/[\\/]/).filter(Boolean).at(-1) ?? path;
}

export function openFolder(runtime: Runtime, source: FolderSource): Files {
  return typeof source === "string" ? runtime.folder(source) : source;
}

export async function openData(runtime: Runtime, source: DataSource, options: DatasetOptions): Promise<Dataset> {
  const [name, bytes] =
    typeof source === "string" ? [source, await runtime.readFile(source)] : [source.name, source.bytes];
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
