// The executors that a test body runs on. One that cannot run here appears as a skipped test under its name.

import { existsSync } from "node:fs";
import type { Executor } from "../../src/executors/executor.ts";
import { ReferenceExecutor } from "../../src/executors/reference.ts";

export interface Device {
  readonly name: string;
  /** Relative to the largest number of a tensor: f64 rounding, or f32 rounding times the length of the sums. */
  readonly tolerance: number;
  readonly make: () => Promise<Executor>;
}

export const reference: Device = { name: "reference", tolerance: 1e-9, make: async () => new ReferenceExecutor() };

export const devices: readonly Device[] = [reference];
void existsSync;
