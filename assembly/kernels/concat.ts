// Rows side by side, and a range of columns. Threads split the rows.
// concat   out[n, :] = [a[n, :], b[n, :]]          words: 5 a[N,D], 6 b[N,E], 7 N, 8 D, 9 D, 10 E
// columns  out[n, :] = x[n, from … from + width)   words: 5 x[N,D], 6 N, 7 D, 8 from, 9 width

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
  const bytes = load<u32>(cmd, 4 * 7) << 2;
  const from = load<u32>(cmd, 4 * 8) << 2;
  const width = load<u32>(cmd, 4 * 9) << 2;
  const end = share(N, ith + 1, nth);
  for (let n = share(N, ith, nth); n < end; n++) memory.copy(out + n * width, x + n * bytes + from, width);
}
