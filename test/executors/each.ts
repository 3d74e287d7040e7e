// The executors that a test body runs on.

import type { Executor } from "../../src/executors/executor.ts";
import { ReferenceExecutor } from "../../src/executors/reference.ts";
import { WasmExecutor } from "../../src/executors/wasm.ts";
import { node } from "../../src/runtimes/node.ts";

export interface Device {
  readonly name: string;
  /** Relative to the largest number of a tensor: f64 rounding, or f32 rounding times the length of the sums. */
  readonly tolerance: number;
  readonly make: () => Promise<Executor>;
}

const wasm = (threads: number): Device => ({
  name: `wasm, ${threads} thread${threads > 1 ? "s" : ""}`,
  // f32 has 6e-8; sums of a few hundred terms lose less than a digit and a half.
  tolerance: 3e-6,
  make: () => WasmExecutor.create(node, { threads }),
});

export const devices: readonly Device[] = [
  { name: "reference", tolerance: 1e-9, make: async () => new ReferenceExecutor() },
  wasm(1),
  wasm(2),
];
