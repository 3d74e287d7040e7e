// Learning rate over training: linear warm-up, then linear decay to zero (transformers' get_linear_schedule_with_warmup).

/** The factor of update number `step`, counted from 0. */
export function linearSchedule(step: number, total: number, warmup: number): number {
  if (step < warmup) return step / Math.max(1, warmup);
  return Math.max(0, (total - step) / Math.max(1, total - warmup));
}

/** Updates of warm-up for a share of all updates, rounded up as transformers does. */
export function warmupSteps(total: number, ratio: number): number {
  return Math.ceil(total * ratio);
}
