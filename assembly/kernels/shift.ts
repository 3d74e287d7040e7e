// out[n, :] = x[n − by, :] where both rows are of one sequence, else 0; rows past the last sequence are 0.
// words: 5 x[N,D], 6 offsets u32[B+1], 7 N, 8 D, 9 B, 10 by (i32). Threads split the rows.

import { share } from "../thread";

export function shift(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const x = load<u32>(cmd, 4 * 5);
  const offsets = load<u32>(cmd, 4 * 6);
  const N = load<u32>(cmd, 4 * 7);
  const bytes = load<u32>(cmd, 4 * 8) << 2;
  const B = load<u32>(cmd, 4 * 9);
  const by = load<i32>(cmd, 4 * 10);
  const end = share(N, ith + 1, nth);
  let b: u32 = 0;
  for (let n = share(N, ith, nth); n < end; n++) {
    while (b < B && n >= load<u32>(offsets + (b << 2), 4)) b++;
    const from = <i32>n - by;
    const own = b < B && from >= load<i32>(offsets + (b << 2)) && from < load<i32>(offsets + (b << 2), 4);
    if (own) memory.copy(out + n * bytes, x + <u32>from * bytes, bytes);
    else memory.fill(out + n * bytes, 0, bytes);
  }
}
