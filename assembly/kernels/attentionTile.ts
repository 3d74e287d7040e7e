// The inner loops of attention: one row against four, and four rows at once, as many sums as keep both adders of a core busy.

import { madd } from "../madd";
import { put, take } from "../rows";

/** The sums of the lanes of a, b, c and e as one vector, each (0 + 2) + (1 + 3). */
export function totals(a: v128, b: v128, c: v128, e: v128): v128 {
  const ab = f32x4.add(v128.shuffle<u32>(a, b, 0, 4, 1, 5), v128.shuffle<u32>(a, b, 2, 6, 3, 7));
  const ce = f32x4.add(v128.shuffle<u32>(c, e, 0, 4, 1, 5), v128.shuffle<u32>(c, e, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<u32>(ab, ce, 0, 1, 4, 5), v128.shuffle<u32>(ab, ce, 2, 3, 6, 7));
}

/** Products of one row q[d] with four rows of k. */
export function pairs(q: usize, k0: usize, k1: usize, k2: usize, k3: usize, d: u32): v128 {
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let c = f32x4.splat(0);
  let e = f32x4.splat(0);
  const whole = (d & ~3) << 2;
  let p: u32 = 0;
  for (; p < whole; p += 16) {
    const x = v128.load(q + p);
    a = madd(x, v128.load(k0 + p), a);
    b = madd(x, v128.load(k1 + p), b);
    c = madd(x, v128.load(k2 + p), c);
    e = madd(x, v128.load(k3 + p), e);
  }
  const left = d & 3;
  if (left !== 0) {
    const x = take(q + p, left);
    a = madd(x, take(k0 + p, left), a);
    b = madd(x, take(k1 + p, left), b);
    c = madd(x, take(k2 + p, left), c);
    e = madd(x, take(k3 + p, left), e);
  }
  return totals(a, b, c, e);
}

/** Four rows (or the last `rows`) of out[·, d] = scale·Σ_k w[row, k]·x[k, :], k < count. Steps are in bytes. */
export function mixRows(
  out: usize,
  outStep: u32,
  rows: u32,
  w: usize,
  rowStep: u32,
  kStep: u32,
  x: usize,
  xStep: u32,
  count: u32,
  d: u32,
  scale: v128,
  accumulate: u32,
): void {
  // Past the end the last row stands in; its sums are not stored.
  const to1 = min(rows - 1, 1) * rowStep;
  const to2 = min(rows - 1, 2) * rowStep;
  const to3 = min(rows - 1, 3) * rowStep;
  for (let c: u32 = 0; c < d; c += 4) {
    const left = d - c;
    let a0 = f32x4.splat(0);
    let a1 = f32x4.splat(0);
    let a2 = f32x4.splat(0);
    let a3 = f32x4.splat(0);
    let xk = x + (c << 2);
    let wk = w;
    for (let k: u32 = 0; k < count; k++) {
      const value = take(xk, left);
      a0 = madd(v128.load32_splat(wk), value, a0);
      a1 = madd(v128.load32_splat(wk + to1), value, a1);
      a2 = madd(v128.load32_splat(wk + to2), value, a2);
      a3 = madd(v128.load32_splat(wk + to3), value, a3);
      xk += xStep;
      wk += kStep;
    }
    const p = out + (c << 2);
    put(p, f32x4.mul(scale, a0), left, accumulate);
    if (rows > 1) put(p + outStep, f32x4.mul(scale, a1), left, accumulate);
    if (rows > 2) put(p + 2 * outStep, f32x4.mul(scale, a2), left, accumulate);
    if (rows > 3) put(p + 3 * outStep, f32x4.mul(scale, a3), left, accumulate);
  }
}
