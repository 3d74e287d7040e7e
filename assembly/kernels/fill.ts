// out[n] = s[0].
// words: 5 s[1], 6 n

import { put, shareElements } from "../rows";

export function fill(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const value = v128.load32_splat(load<u32>(cmd, 4 * 5));
  const n = load<u32>(cmd, 4 * 6);
  const end = shareElements(n, ith + 1, nth);
  for (let i = shareElements(n, ith, nth); i < end; i += 4) put(out + (i << 2), value, n - i, accumulate);
}
