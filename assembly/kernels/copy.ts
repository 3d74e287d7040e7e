// out = x.
// words: 5 x[n], 6 n

import { put, shareElements } from "../rows";

export function copy(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const x = load<u32>(cmd, 4 * 5);
  const n = load<u32>(cmd, 4 * 6);
  const end = shareElements(n, ith + 1, nth);
  for (let i = shareElements(n, ith, nth); i < end; i += 4) {
    put(out + (i << 2), v128.load(x + (i << 2)), n - i, accumulate);
  }
}
