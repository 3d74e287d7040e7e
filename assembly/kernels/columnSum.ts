// out[d] (+)= Σ_r x[r, d], rows in order. Words: x[R, D] | R, D. Threads split the columns.

import { share } from "../thread";

export function columnSum(cmd: usize, ith: u32, nth: u32): void {
  const out = <usize>load<u32>(cmd, 12);
  const accumulate = load<u32>(cmd, 16) !== 0;
  const x = <usize>load<u32>(cmd, 20);
  const R = load<u32>(cmd, 24);
  const D = load<u32>(cmd, 28);
  const stride = (<usize>D) << 2;
  const blocks = (D + 15) >> 4;
  const end = min(D, share(blocks, ith + 1, nth) << 4);
  let d = share(blocks, ith, nth) << 4;
  const zero = f32x4.splat(0);
  for (; d + 16 <= end; d += 16) {
    const to = out + ((<usize>d) << 2);
    let s0 = accumulate ? v128.load(to) : zero;
    let s1 = accumulate ? v128.load(to, 16) : zero;
    let s2 = accumulate ? v128.load(to, 32) : zero;
    let s3 = accumulate ? v128.load(to, 48) : zero;
    let from = x + ((<usize>d) << 2);
    for (let r: u32 = 0; r < R; r++) {
      s0 = f32x4.add(s0, v128.load(from));
      s1 = f32x4.add(s1, v128.load(from, 16));
      s2 = f32x4.add(s2, v128.load(from, 32));
      s3 = f32x4.add(s3, v128.load(from, 48));
      from += stride;
    }
    v128.store(to, s0);
    v128.store(to, s1, 16);
    v128.store(to, s2, 32);
    v128.store(to, s3, 48);
  }
  for (; d < end; d++) {
    const to = out + ((<usize>d) << 2);
    let s: f32 = accumulate ? load<f32>(to) : 0;
    let from = x + ((<usize>d) << 2);
    for (let r: u32 = 0; r < R; r++) {
      s += load<f32>(from);
      from += stride;
    }
    store<f32>(to, s);
  }
}
