// out[1] = Σ x in one fixed order (four interleaved sums, then their sum), by thread 0 alone.
// words: 5 x[n], 6 n

import { putOne, sumOf } from "../rows";

export function sum(cmd: usize, ith: u32, _nth: u32): void {
  if (ith !== 0) return;
  putOne(load<u32>(cmd, 4 * 3), sumOf(load<u32>(cmd, 4 * 5), load<u32>(cmd, 4 * 6)), load<u32>(cmd, 4 * 4));
}
