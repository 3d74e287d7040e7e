// out[1] = √(Σ g²) over all tensors. Each chunk of 4096 elements of one tensor gives a partial sum (four interleaved sums, then their
// sum); the partial sums are added in order in f64, so that thousands of them lose nothing.
// words: 5 count, then `count` pointers g, then `count` sizes n. scratch: Σ ceil(n/4096) floats, the partial sums.

import { dot, putOne } from "../rows";
import { barrier } from "../thread";

const CHUNK: u32 = 4096;

export function globalNorm(cmd: usize, ith: u32, nth: u32, sync: usize): void {
  const partial = load<u32>(cmd, 4 * 2);
  const count = load<u32>(cmd, 4 * 5);
  const pointers = cmd + 4 * 6;
  const sizes = pointers + (count << 2);
  let chunks: u32 = 0;
  for (let tensor: u32 = 0; tensor < count; tensor++) {
    const g = load<u32>(pointers + (tensor << 2));
    const n = load<u32>(sizes + (tensor << 2));
    for (let i: u32 = 0; i < n; i += CHUNK) {
      const from = g + (i << 2);
      if (chunks % nth === ith) store<f32>(partial + (chunks << 2), dot(from, from, min(n - i, CHUNK)));
      chunks++;
    }
  }
  barrier(sync, nth);
  if (ith !== 0) return;
  let sum: f64 = 0;
  for (let i: u32 = 0; i < chunks; i++) sum += <f64>load<f32>(partial + (i << 2));
  putOne(load<u32>(cmd, 4 * 3), <f32>sqrt<f64>(sum), load<u32>(cmd, 4 * 4));
}
