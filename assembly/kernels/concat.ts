// Rows side by side, and a range of columns. Threads split the rows.
// concat   out[n, :] = [a[n, :], b[n, :]]          words: 5 a[N,D], 6 b[N,E], 7 N, 8 D, 9 D, 10 E
// columns  out[n, :] = x[n, from … from + width), 0 where x has none    words: 5 x[N,D], 6 N, 7 D, 8 from (i32), 9 width

import { share } from "../thread";

export function concat(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const a = load<u32>(cmd, 4 * 5);
  const b = load<u32>(cmd, 4 * 6);
  const N = load<u32>(cmd, 4 * 7);
  const first = load<u32>(cmd, 4 * 8) << 2;
  const second = load<u32>(cmd, 4 * 10) << 2;
  const end = share(N, ith + 1, nth);
  for (let n = share(N, ith, nth); n < end; n++) {
    const to = out + n * (first + second);
    memory.copy(to, a + n * first, first);
    memory.copy(to + first, b + n * second, second);
  }
}

export function columns(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const x = load<u32>(cmd, 4 * 5);
  const N = load<u32>(cmd, 4 * 6);
  const D = load<i32>(cmd, 4 * 7) << 2;
  const from = load<i32>(cmd, 4 * 8) << 2;
  const width = load<i32>(cmd, 4 * 9) << 2;
  // Of a row of out: where that of x begins and ends.
  const first = min(max(-from, 0), width);
  const last = max(min(D - from, width), first);
  const end = share(N, ith + 1, nth);
  for (let n = share(N, ith, nth); n < end; n++) {
    const row = out + n * width;
    memory.fill(row, 0, first);
    memory.copy(row + first, x + n * D + from + first, last - first);
    memory.fill(row + last, 0, width - last);
  }
}
