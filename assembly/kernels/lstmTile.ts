// What both directions of time in an lstm share: products of the rows of one time step with rows of a matrix, and which sequences and
// units they are of. Every product is four sums, of every fourth term each, then one tree: the same bits whichever function makes it.

import { madd } from "../madd";
import { take } from "../rows";
import { share } from "../thread";
import { totals } from "./attentionTile";

/** First unit of thread `ith`, a multiple of 4; the start of the next thread is its end. */
export function firstUnit(H: u32, ith: u32, nth: u32): u32 {
  return min(H, share((H + 3) >> 2, ith, nth) << 2);
}

/** The first sequence from b on that has at least so many rows; B if there is none. */
export function longEnough(b: u32, rows: u32, offsets: usize, B: u32): u32 {
  while (b < B && load<u32>(offsets + (b << 2), 4) - load<u32>(offsets + (b << 2)) < rows) b++;
  return b;
}

/** Row number `step`, in the order of time, of sequence b. */
export function rowAt(b: u32, step: u32, offsets: usize, reverse: u32): u32 {
  return reverse ? load<u32>(offsets + (b << 2), 4) - 1 - step : load<u32>(offsets + (b << 2)) + step;
}

export function longest(offsets: usize, B: u32): u32 {
  let most: u32 = 0;
  for (let b: u32 = 0; b < B; b++) most = max(most, load<u32>(offsets + (b << 2), 4) - load<u32>(offsets + (b << 2)));
  return most;
}

/** Clears the rows past the last sequence; the threads split them. */
export function clearTail(out: usize, bytes: u32, N: u32, offsets: usize, B: u32, ith: u32, nth: u32): void {
  const used = load<u32>(offsets + (B << 2));
  const first = used + share(N - used, ith, nth);
  memory.fill(out + first * bytes, 0, (used + share(N - used, ith + 1, nth) - first) * bytes);
}

/** to[0…3] = x·w, to[4…7] = y·w: rows x and y of n floats, four rows of w that are `step` bytes apart, the last of `count` repeated. */
export function twoByFour(to: usize, x: usize, y: usize, w: usize, step: u32, count: u32, n: u32): void {
  const w1 = w + min(1, count - 1) * step;
  const w2 = w + min(2, count - 1) * step;
  const w3 = w + min(3, count - 1) * step;
  const zero = f32x4.splat(0);
  let x0 = zero;
  let x1 = zero;
  let x2 = zero;
  let x3 = zero;
  let y0 = zero;
  let y1 = zero;
  let y2 = zero;
  let y3 = zero;
  const whole = (n & ~3) << 2;
  let p: u32 = 0;
  for (; p < whole; p += 16) {
    const a = v128.load(x + p);
    const b = v128.load(y + p);
    let v = v128.load(w + p);
    x0 = madd(a, v, x0);
    y0 = madd(b, v, y0);
    v = v128.load(w1 + p);
    x1 = madd(a, v, x1);
    y1 = madd(b, v, y1);
    v = v128.load(w2 + p);
    x2 = madd(a, v, x2);
    y2 = madd(b, v, y2);
    v = v128.load(w3 + p);
    x3 = madd(a, v, x3);
    y3 = madd(b, v, y3);
  }
  const left = n & 3;
  if (left !== 0) {
    const a = take(x + p, left);
    const b = take(y + p, left);
    let v = take(w + p, left);
    x0 = madd(a, v, x0);
    y0 = madd(b, v, y0);
    v = take(w1 + p, left);
    x1 = madd(a, v, x1);
    y1 = madd(b, v, y1);
    v = take(w2 + p, left);
    x2 = madd(a, v, x2);
    y2 = madd(b, v, y2);
    v = take(w3 + p, left);
    x3 = madd(a, v, x3);
    y3 = madd(b, v, y3);
  }
  v128.store(to, totals(x0, x1, x2, x3));
  v128.store(to, totals(y0, y1, y2, y3), 16);
}

/** to[0…3] = x·w, to[8…11] = x·v: one row of x, four rows of w and four of v. As many sums as keep both adders of a core busy. */
export function oneByEight(to: usize, x: usize, w: usize, v: usize, step: u32, count: u32, n: u32): void {
  const to1 = min(1, count - 1) * step;
  const to2 = min(2, count - 1) * step;
  const to3 = min(3, count - 1) * step;
  const w1 = w + to1;
  const w2 = w + to2;
  const w3 = w + to3;
  const v1 = v + to1;
  const v2 = v + to2;
  const v3 = v + to3;
  const zero = f32x4.splat(0);
  let a0 = zero;
  let a1 = zero;
  let a2 = zero;
  let a3 = zero;
  let b0 = zero;
  let b1 = zero;
  let b2 = zero;
  let b3 = zero;
  const whole = (n & ~3) << 2;
  let p: u32 = 0;
  for (; p < whole; p += 16) {
    const h = v128.load(x + p);
    a0 = madd(h, v128.load(w + p), a0);
    a1 = madd(h, v128.load(w1 + p), a1);
    a2 = madd(h, v128.load(w2 + p), a2);
    a3 = madd(h, v128.load(w3 + p), a3);
    b0 = madd(h, v128.load(v + p), b0);
    b1 = madd(h, v128.load(v1 + p), b1);
    b2 = madd(h, v128.load(v2 + p), b2);
    b3 = madd(h, v128.load(v3 + p), b3);
  }
  const left = n & 3;
  if (left !== 0) {
    const h = take(x + p, left);
    a0 = madd(h, take(w + p, left), a0);
    a1 = madd(h, take(w1 + p, left), a1);
    a2 = madd(h, take(w2 + p, left), a2);
    a3 = madd(h, take(w3 + p, left), a3);
    b0 = madd(h, take(v + p, left), b0);
    b1 = madd(h, take(v1 + p, left), b1);
    b2 = madd(h, take(v2 + p, left), b2);
    b3 = madd(h, take(v3 + p, left), b3);
  }
  v128.store(to, totals(a0, a1, a2, a3));
  v128.store(to, totals(b0, b1, b2, b3), 32);
}
