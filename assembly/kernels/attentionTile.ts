// The inner loop of attentionPairs: two rows against four, as many sums as registers hold.

import { madd } from "../madd";
import { keep, put, take } from "../rows";

/** The sums of the lanes of a, b, c and e as one vector, each (0 + 2) + (1 + 3). */
export function totals(a: v128, b: v128, c: v128, e: v128): v128 {
  const ab = f32x4.add(v128.shuffle<u32>(a, b, 0, 4, 1, 5), v128.shuffle<u32>(a, b, 2, 6, 3, 7));
  const ce = f32x4.add(v128.shuffle<u32>(c, e, 0, 4, 1, 5), v128.shuffle<u32>(c, e, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<u32>(ab, ce, 0, 1, 4, 5), v128.shuffle<u32>(ab, ce, 2, 3, 6, 7));
}

/**
 * scale · the products of row q[d] with four rows of k, `step` bytes apart, of which the first `left` count; and of the row a step behind q
 * unless `toStep` is 0, as many bytes behind.
 */
export function pairs(
  to: usize,
  toStep: u32,
  q: usize,
  k: usize,
  step: u32,
  d: u32,
  scale: v128,
  left: u32,
  accumulate: u32,
): void {
  let qA = q;
  let qB = toStep !== 0 ? q + step : q;
  // Past the end the last row stands in; its products are masked.
  let k0 = k;
  let k1 = k + min(left - 1, 1) * step;
  let k2 = k + min(left - 1, 2) * step;
  let k3 = k + min(left - 1, 3) * step;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let b2 = f32x4.splat(0);
  let b3 = f32x4.splat(0);
  let n = d;
  for (; n >= 4; n -= 4) {
    const x = v128.load(qA);
    const y = v128.load(qB);
    let other = v128.load(k0);
    a0 = madd(x, other, a0);
    b0 = madd(y, other, b0);
    other = v128.load(k1);
    a1 = madd(x, other, a1);
    b1 = madd(y, other, b1);
    other = v128.load(k2);
    a2 = madd(x, other, a2);
    b2 = madd(y, other, b2);
    other = v128.load(k3);
    a3 = madd(x, other, a3);
    b3 = madd(y, other, b3);
    qA += 16;
    qB += 16;
    k0 += 16;
    k1 += 16;
    k2 += 16;
    k3 += 16;
  }
  if (n !== 0) {
    const x = take(qA, n);
    const y = take(qB, n);
    let other = take(k0, n);
    a0 = madd(x, other, a0);
    b0 = madd(y, other, b0);
    other = take(k1, n);
    a1 = madd(x, other, a1);
    b1 = madd(y, other, b1);
    other = take(k2, n);
    a2 = madd(x, other, a2);
    b2 = madd(y, other, b2);
    other = take(k3, n);
    a3 = madd(x, other, a3);
    b3 = madd(y, other, b3);
  }
  put(to, keep(f32x4.mul(scale, totals(a0, a1, a2, a3)), left), 4, accumulate);
  if (toStep !== 0) put(to + toStep, keep(f32x4.mul(scale, totals(b0, b1, b2, b3)), left), 4, accumulate);
}
