// Numbers that change over the training: the learning rate, and what a recipe lets vary (temperature, weights).

import { cos } from "../math.ts";

const PI = Math.PI;

/** Shapes of the learning rate behind the warm-up, as transformers names them (get_linear_schedule_with_warmup, …). */
export const LR_SCHEDULERS = ["linear", "cosine", "constant"] as const;
export type LrScheduler = (typeof LR_SCHEDULERS)[number];

/** The learning rate's factor at update number `step`, counted from 0: rises over the warm-up, then falls to zero or stays. */
export function learningRateFactor(kind: LrScheduler, step: number, total: number, warmup: number): number {
  if (step < warmup) return step / Math.max(1, warmup);
  const left = Math.max(0, (total - step) / Math.max(1, total - warmup));
  return kind === "linear" ? left : kind === "cosine" ? (1 - cos(PI * left)) / 2 : 1;
}

/** Updates of warm-up for a share of all updates, rounded up as transformers does. */
export function warmupSteps(total: number, ratio: number): number {
  return Math.ceil(total * ratio);
}

export const CURVES = ["linear", "cosine"] as const;

/** A number, or one that goes from the first update to the last along a line or half a cosine. */
export type Varying = number | { readonly from: number; readonly to: number; readonly curve: (typeof CURVES)[number] };

export function valueAt(varying: Varying, step: number, total: number): number {
  if (typeof varying === "number") return varying;
  const { from, to, curve } = varying;
  const done = step / Math.max(1, total - 1);
  return from + (to - from) * (curve === "linear" ? done : (1 - cos(PI * done)) / 2);
}
