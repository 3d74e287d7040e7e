// The contract between the language and a device. An executor owns the persistent values (inputs and state, by name) and runs Programs.

import { LimbeckError } from "../errors.ts";
import type { Program } from "../program/program.ts";
import type { Value } from "../program/value.ts";

/** A program made ready for one executor. */
export interface Loaded {
  readonly program: Program;
}

/** f32 values are exchanged as Float32Array or Float64Array, u32 values as Uint32Array. */
export type Numbers = Float32Array | Float64Array | Uint32Array;

/** What a value must tell to be written or read: inputs and state of equal name are one array. */
export type Persistent = Pick<Value, "name" | "shape" | "dtype">;

export interface Executor {
  readonly name: "reference" | "wasm" | "webgpu";
  /** Of a GPU: which features it uses. */
  readonly features?: ReadonlySet<string>;
  /**
   * Compiles; throws a named error for what this executor lacks, never in step 400. Where that is memory, WASM throws at once and is as it was
   * before; a GPU fails a moment later, and for good.
   */
  load(program: Program): Loaded;
  /** Gives back what a load took, beside values, which others may share; what was asked of it must be done. */
  unload(loaded: Loaded): void;
  /** Writes an input or state; makes it when it is new (state starts as zeros). */
  write(value: Persistent, data: Numbers): void;
  /** Enqueues one run; never waits. Temporaries are lost with the next run, inputs and state stay. */
  run(loaded: Loaded): void;
  /**
   * The numbers of an input or state as they are after what was asked for so far, as a copy. `later`: nobody waits for them, and they may
   * come with those of the next read that somebody waits for.
   */
  read(value: Persistent, later?: boolean): Promise<Numbers>;
  /** Resolves when everything that was asked for so far is done. */
  finished(): Promise<void>;
  /** Forgets an input or state by name. */
  release(name: string): void;
  /** What is allocated, for reports and plans. */
  memory(): { bytes: number; persistent: number };
  dispose(): void;
}

export function outOfMemory(message: string, cause?: unknown): LimbeckError {
  return new LimbeckError("OUT_OF_MEMORY", `${message}; use a smaller batch, length or model.`, { cause });
}

/** Whether a smaller batch may do. */
export function isTooLarge(error: unknown): error is LimbeckError {
  return error instanceof LimbeckError && (error.code === "OUT_OF_MEMORY" || error.code === "GPU_LIMIT");
}
