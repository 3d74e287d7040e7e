// What the kernels share: splitting elements over threads, vectors at the end of a row, and reductions of a row in one fixed order.
// A row is read and written four floats at a time; `left` is how many floats of the row remain, so the last vector of a row whose
// width is no multiple of four neither reads nor writes the next row.

import { madd } from "./madd";
import { exp } from "./math";
import { share } from "./thread";

/** "No id", "no row" (src/program/value.ts). */
export const NONE: u32 = 0xffffffff;

/** First of the `n` elements of thread `ith`, a multiple of 16 (one cache line); the start of the next thread is its end. */
export function shareElements(n: u32, ith: u32, nth: u32): u32 {
  return min(n, share((n + 15) >> 4, ith, nth) << 4);
}

/** What gradients of this norm are multiplied by, as torch.nn.utils.clip_grad_norm_ does; maxNorm 0: they are not clipped. */
export function clipFactor(norm: f32, maxNorm: f32): v128 {
  return f32x4.splat(maxNorm > 0 ? min<f32>(1, maxNorm / (norm + <f32>1e-6)) : 1);
}

/** All bits set in the first `left` lanes, `left` below 4. */
function lanes(left: u32): v128 {
  return i32x4.lt_u(i32x4(0, 1, 2, 3), i32x4.splat(left));
}

/** The first `left` lanes of v, zero in the others. */
export function keep(v: v128, left: u32): v128 {
  return left >= 4 ? v : v128.and(v, lanes(left));
}

/** The next four floats of a row; zero in the lanes past its end. */
export function take(p: usize, left: u32): v128 {
  if (left >= 4) return v128.load(p);
  if (left === 1) return v128.load32_zero(p);
  const two = v128.load64_zero(p);
  return left === 2 ? two : v128.load_lane<u32>(p, two, 2, 8);
}

/** Stores the next four floats of a row, or as many as are left; adds to what is there if `accumulate`. */
export function put(p: usize, value: v128, left: u32, accumulate: u32): void {
  if (accumulate) value = f32x4.add(value, take(p, left));
  if (left >= 4) {
    v128.store(p, value);
  } else if (left === 1) {
    v128.store_lane<u32>(p, value, 0);
  } else {
    v128.store_lane<u64>(p, value, 0);
    if (left === 3) v128.store_lane<u32>(p, value, 2, 8);
  }
}

/** Stores one float, or adds to what is there. */
export function putOne(p: usize, value: f32, accumulate: u32): void {
  store<f32>(p, accumulate ? load<f32>(p) + value : value);
}

/** Sum of the four lanes: (0 + 2) + (1 + 3). */
export function total(v: v128): f32 {
  const even = f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 2);
  const odd = f32x4.extract_lane(v, 1) + f32x4.extract_lane(v, 3);
  return even + odd;
}

/** Σ x over n floats: four sums, of every fourth float each, then `total`. */
export function sumOf(x: usize, n: u32): f32 {
  let sum = f32x4.splat(0);
  for (let i: u32 = 0; i < n; i += 4) sum = f32x4.add(sum, take(x + (i << 2), n - i));
  return total(sum);
}

/** Σ a·b over n floats, in the order of sumOf. */
export function dot(a: usize, b: usize, n: u32): f32 {
  let sum = f32x4.splat(0);
  for (let i: u32 = 0; i < n; i += 4) {
    sum = madd(take(a + (i << 2), n - i), take(b + (i << 2), n - i), sum);
  }
  return total(sum);
}

/** The largest of n floats that are not NaN. */
export function largest(x: usize, n: u32): f32 {
  const lowest = f32x4.splat(-Infinity);
  let m = lowest;
  for (let i: u32 = 0; i < n; i += 4) {
    const v = take(x + (i << 2), n - i);
    m = f32x4.pmax(m, n - i >= 4 ? v : v128.bitselect(v, lowest, lanes(n - i)));
  }
  const even = max(f32x4.extract_lane(m, 0), f32x4.extract_lane(m, 2));
  return max(even, max(f32x4.extract_lane(m, 1), f32x4.extract_lane(m, 3)));
}

/** e^((x − shift)·factor) of four floats. */
export function shiftedExp(x: v128, shift: f32, factor: f32): v128 {
  return exp(f32x4.mul(f32x4.sub(x, f32x4.splat(shift)), f32x4.splat(factor)));
}

/** Σ e^((x − shift)·factor) over n floats, in the order of sumOf. */
export function sumOfExp(x: usize, n: u32, shift: f32, factor: f32): f32 {
  let sum = f32x4.splat(0);
  for (let i: u32 = 0; i < n; i += 4) {
    const left = n - i;
    sum = f32x4.add(sum, keep(shiftedExp(take(x + (i << 2), left), shift, factor), left));
  }
  return total(sum);
}
