// Options of a training run under the names that users of Hugging Face know, with their defaults.

import { InputError } from "../errors.ts";
import { type Feature, FEATURES as GPU_FEATURES } from "../executors/adapter.ts";
import { LR_SCHEDULERS } from "../optim/schedule.ts";
import type { StageOptions } from "../recipes/recipe.ts";

export { GPU_FEATURES };

export interface TrainingOptions extends StageOptions {
  /** Tokens a sequence may have; longer ones are cut. 0: what the model allows. */
  maxLength: number;
  seed: number;
  /** Evaluates every so many updates; 0: after each epoch. */
  evalSteps: number;
  /** Reports every so many updates. */
  loggingSteps: number;
  /** Mixed precision, on a GPU with shader-f16: linear layers multiply numbers of half precision, everything else is f32. */
  fp16: boolean;
}

export const TRAINING: TrainingOptions = {
  epochs: 3,
  maxSteps: 0,
  batchSize: 32,
  learningRate: 5e-5,
  lrSchedulerType: "linear",
  optimizer: "adamw",
  weightDecay: 0.01,
  warmupRatio: 0.1,
  maxGradNorm: 1,
  gradientAccumulationSteps: 1,
  maxLength: 128,
  seed: 42,
  evalSteps: 0,
  loggingSteps: 25,
  fp16: false,
};

/** Steps in a row whose loss or gradient is not finite: so many, and the run stops. */
export const MAX_BAD_STEPS = 10;

export interface DeviceOptions {
  /**
   * Which executor runs. "auto": a GPU if the host has one that computes rightly, else WASM. A GPU or a GPUDevice of your own where the host
   * brings no WebGPU (Bun), or to share one; a given device keeps its limits and is not destroyed.
   */
  device: "auto" | "wasm" | "webgpu" | "reference" | GPU | GPUDevice;
  /** Of WASM. "strict": the same bytes on every engine and processor. "fast": relaxed SIMD, where the engine has it; rounds as the processor does. */
  numerics: "strict" | "fast";
  /** 0: as many as the host has cores, at most 8. */
  threads: number;
  /** Features of a GPU that may be used where it has them. They change no bit; only fp16 makes use of half precision. */
  gpuFeatures: readonly Feature[];
}

export const DEVICE: DeviceOptions = { device: "auto", numerics: "strict", threads: 0, gpuFeatures: GPU_FEATURES };

type Bounds = Readonly<Record<string, readonly [least: number, most: number, integer: boolean]>>;

const BOUNDS: Bounds = {
  epochs: [0, 1e6, false],
  maxSteps: [0, 1e9, true],
  batchSize: [1, 65536, true],
  learningRate: [0, 1e9, false],
  weightDecay: [0, 1e3, false],
  warmupRatio: [0, 1, false],
  maxGradNorm: [0, 1e9, false],
  adamBeta1: [0, 1, false],
  adamBeta2: [0, 1, false],
  adamEpsilon: [0, 1, false],
  mlmSmoothing: [0, 10, false],
  gradientAccumulationSteps: [1, 65536, true],
  maxLength: [0, 1e6, true],
  seed: [0, 2 ** 32 - 1, true],
  evalSteps: [0, 1e9, true],
  loggingSteps: [1, 1e9, true],
  maxBadSteps: [1, 1e9, true],
  saveSteps: [0, 1e9, true],
  saveTotalLimit: [1, 1e6, true],
  threads: [0, 64, true],
  temperature: [1e-3, 1e6, false],
  alpha: [0, 1, false],
  beta: [0, 1e9, false],
  pMask: [0, 1, false],
  pPos: [0, 1, false],
  pNg: [0, 1, false],
  nIter: [0, 1e6, true],
  pReplace: [0, 1, false],
  candidates: [1, 1000, true],
  cacheSize: [0, 1e9, false],
};

/** How the command calls an option of the library. */
export const flag = (name: string) => `--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;

/** Refuses numbers outside what they mean, by their flag or by what else the caller calls them. */
export function checkNumbers(options: Readonly<Record<string, unknown>>, where = flag): void {
  for (const [name, [least, most, integer]] of Object.entries(BOUNDS)) {
    for (const value of ends(options[name])) {
      if (typeof value === "number" && value >= least && value <= most && (!integer || Number.isInteger(value)))
        continue;
      throw new InputError(
        "OPTION_RANGE",
        `${String(value)} is not ${integer ? "an integer" : "a number"} from ${least} to ${most}.`,
        { where: where(name) },
      );
    }
  }
  const { lrSchedulerType: kind } = options;
  if (kind !== undefined && !LR_SCHEDULERS.includes(kind as (typeof LR_SCHEDULERS)[number]))
    throw new InputError("OPTION_RANGE", `${String(kind)} is not one of ${LR_SCHEDULERS.join(", ")}.`, {
      where: where("lrSchedulerType"),
    });
}

/** A number that varies over the training lies between its ends. */
function ends(value: unknown): unknown[] {
  if (value === undefined) return [];
  return typeof value === "object" && value !== null && "from" in value && "to" in value
    ? [value.from, value.to]
    : [value];
}
