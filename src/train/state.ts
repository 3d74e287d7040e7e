// What a training has come to: the one object from which its next step follows, in host arrays. Recovery keeps it in memory,
// a checkpoint on disk.

import type { Executor, Persistent } from "../executors/executor.ts";
import { sizeOf } from "../program/value.ts";
import type { Tensor, Weights } from "./model.ts";

export interface TrainerState {
  /** Micro-batches so far: what the dropout masks count. */
  readonly microBatches: number;
  /** The optimiser's own numbers, in f64. */
  readonly clock: Readonly<Record<string, number>>;
  /** Parameters and moments, by their names in an executor. Gradients are zero between two steps. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Absent: nothing was counted. */
  readonly steps?: StepCounts;
}

/** Steps taken; of them, those that were skipped because a number was not finite; and how many of these stand at the end, in a row. */
export interface StepCounts {
  readonly taken: number;
  readonly skipped: number;
  readonly inRow: number;
}

export function bytesOfState({ tensors }: TrainerState): number {
  return [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
}

/** Bytes that may be on their way to the host at once: on a GPU each needs a second place. */
const ON_THE_WAY = 64 << 20;

/** State values by name → shape, as copies. */
export async function readTensors(
  executor: Executor,
  shapes: Iterable<readonly [string, readonly number[]]>,
): Promise<Weights> {
  const tensors: Weights = new Map();
  let group: Promise<void>[] = [];
  let bytes = 0;
  for (const [name, shape] of shapes) {
    const value: Persistent = { name, shape, dtype: "f32" };
    // Its place now: reads may be answered in another order.
    const tensor: { shape: number[]; data: Float32Array } = { shape: [...shape], data: new Float32Array() };
    tensors.set(name, tensor);
    group.push(
      executor.read(value).then((data) => {
        tensor.data = data instanceof Float32Array ? data : new Float32Array(data);
      }),
    );
    bytes += 4 * sizeOf(value);
    if (bytes < ON_THE_WAY) continue;
    await Promise.all(group);
    [group, bytes] = [[], 0];
  }
  await Promise.all(group);
  return tensors;
}

export function writeTensors(executor: Executor, tensors: ReadonlyMap<string, Tensor>): void {
  for (const [name, { shape, data }] of tensors) executor.write({ name, shape, dtype: "f32" }, data);
}
