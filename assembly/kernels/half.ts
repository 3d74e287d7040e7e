// out = x, times scale[0] if there is one, rounded to half precision (11 bits, ties to even) and kept in f32; what is beyond becomes NaN.
// words: 5 x[n], 6 scale[4]?, 7 n

import { put, shareElements, take } from "../rows";

// f32 adds multiples of 2⁻²⁴, the step of the smallest halves, to this number and rounds to them.
const SUBNORMAL: f32 = 0.75;
const SMALLEST_NORMAL: f32 = 6.103515625e-5;
const BEYOND: f32 = 65520;

export function half(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const x = load<u32>(cmd, 4 * 5);
  const scale = load<u32>(cmd, 4 * 6);
  const n = load<u32>(cmd, 4 * 7);
  const factor = f32x4.splat(scale === 0 ? 1 : load<f32>(scale));
  const end = shareElements(n, ith + 1, nth);
  for (let i = shareElements(n, ith, nth); i < end; i += 4) {
    put(out + (i << 2), rounded(f32x4.mul(take(x + (i << 2), n - i), factor)), n - i, 0);
  }
}

function rounded(x: v128): v128 {
  const size = f32x4.abs(x);
  // 13 bits fewer: half of the last that stays is added, less one where that bit is even.
  const odd = v128.and(i32x4.shr_u(x, 13), i32x4.splat(1));
  const normal = v128.and(i32x4.add(i32x4.add(x, i32x4.splat(0xfff)), odd), i32x4.splat(~0x1fff));
  const sign = v128.and(x, i32x4.splat(i32.MIN_VALUE));
  const small = f32x4.sub(f32x4.add(size, f32x4.splat(SUBNORMAL)), f32x4.splat(SUBNORMAL));
  const y = v128.bitselect(v128.or(small, sign), normal, f32x4.lt(size, f32x4.splat(SMALLEST_NORMAL)));
  // What is not below the bound, a NaN too, becomes NaN: all bits are set.
  return v128.or(y, v128.not(f32x4.lt(size, f32x4.splat(BEYOND))));
}
