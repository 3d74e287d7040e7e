// The inner loop of attentionMix and attentionMixT: four rows at once, and as many columns as registers hold sums.

import { madd } from "../madd";
import { put, take } from "../rows";

function eight(to: usize, a: v128, b: v128, scale: v128, accumulate: u32): void {
  put(to, f32x4.mul(scale, a), 4, accumulate);
  put(to + 16, f32x4.mul(scale, b), 4, accumulate);
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
  let c: u32 = 0;
  for (; c + 8 <= d; c += 8) {
    let a0 = f32x4.splat(0);
    let a1 = f32x4.splat(0);
    let a2 = f32x4.splat(0);
    let a3 = f32x4.splat(0);
    let b0 = f32x4.splat(0);
    let b1 = f32x4.splat(0);
    let b2 = f32x4.splat(0);
    let b3 = f32x4.splat(0);
    let xk = x + (c << 2);
    let wk = w;
    for (let k: u32 = 0; k < count; k++) {
      const left = v128.load(xk);
      const right = v128.load(xk, 16);
      let weight = v128.load32_splat(wk);
      a0 = madd(weight, left, a0);
      b0 = madd(weight, right, b0);
      weight = v128.load32_splat(wk + to1);
      a1 = madd(weight, left, a1);
      b1 = madd(weight, right, b1);
      weight = v128.load32_splat(wk + to2);
      a2 = madd(weight, left, a2);
      b2 = madd(weight, right, b2);
      weight = v128.load32_splat(wk + to3);
      a3 = madd(weight, left, a3);
      b3 = madd(weight, right, b3);
      xk += xStep;
      wk += kStep;
    }
    const p = out + (c << 2);
    eight(p, a0, b0, scale, accumulate);
    if (rows > 1) eight(p + outStep, a1, b1, scale, accumulate);
    if (rows > 2) eight(p + 2 * outStep, a2, b2, scale, accumulate);
    if (rows > 3) eight(p + 3 * outStep, a3, b3, scale, accumulate);
  }
  for (; c < d; c += 4) {
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
