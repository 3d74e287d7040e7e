// Which examples stand in which batch: a permutation per epoch, a function of (seed, epoch) alone.

import { Random } from "../random.ts";

/** The order of `count` examples in one epoch. */
export function epochOrder(count: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  return new Random(seed, `sampler/epoch/${epoch}`).shuffle(order);
}

/** `order` in pieces of `size`; the last may be shorter (makeBatch fills it with empty sequences). */
export function* batchesOf(order: Uint32Array, size: number): Generator<Uint32Array> {
  for (let start = 0; start < order.length; start += size) yield order.subarray(start, start + size);
}
