// Functions of one argument, element by element: out = f(x), and dx = dy·f'(x).
//   gelu      x·Φ(x), Φ(x) = (1 + erf(x/√2))/2                             f' = Φ(x) + x·e^(−x²/2)/√(2π)
//   geluTanh  x/2·(1 + t), t = tanh(√(2/π)·(x + 0.044715·x³))              f' = (1 + t)/2 + x/2·(1 − t²)·√(2/π)·(1 + 3·0.044715·x²)
//   relu      max(x, 0)                                                    f' = 1 where x > 0
//   tanh                                                                   f' = 1 − tanh²
//   abs       |x|                                                          f' = the sign of x, 0 at 0
// (Hendrycks and Gimpel 2016, arXiv:1606.08415)
// unary      words: 5 x[n], 6 n, 7 kind
// unaryGrad  words: 5 dy[n], 6 x[n], 7 n, 8 kind

import { erf, erfOf, erfTail, exp, tanh } from "../math";
import { Unary } from "../opcodes";
import { put, shareElements } from "../rows";

const INVERSE_SQRT_2: f32 = 0.70710677;
const INVERSE_SQRT_2PI: f32 = 0.3989422804014327;
const SQRT_2_OVER_PI: f32 = 0.7978845608028654;
const CUBIC: f32 = 0.044715;

/** f(x), or dy·f'(x) if `derive`. */
function apply(kind: u32, derive: bool, dy: v128, x: v128): v128 {
  const one = f32x4.splat(1);
  const half = f32x4.splat(0.5);
  const square = f32x4.mul(x, x);
  if (kind === Unary.gelu) {
    const normal = f32x4.mul(half, f32x4.add(one, erf(f32x4.mul(x, f32x4.splat(INVERSE_SQRT_2)))));
    if (!derive) return f32x4.mul(x, normal);
    const density = f32x4.mul(f32x4.splat(INVERSE_SQRT_2PI), exp(f32x4.mul(f32x4.splat(-0.5), square)));
    return f32x4.mul(dy, f32x4.add(normal, f32x4.mul(x, density)));
  }
  if (kind === Unary.relu) {
    // Where x is NaN the gradient passes: it must not turn a NaN into a number.
    return derive ? v128.andnot(dy, f32x4.le(x, f32x4.splat(0))) : f32x4.pmax(x, f32x4.splat(0));
  }
  if (kind === Unary.abs) {
    if (!derive) return f32x4.abs(x);
    const signed = v128.xor(dy, v128.and(x, i32x4.splat(0x80000000)));
    return v128.andnot(signed, f32x4.eq(x, f32x4.splat(0)));
  }
  const factor = f32x4.splat(SQRT_2_OVER_PI);
  const cubic = f32x4.mul(f32x4.splat(CUBIC), f32x4.mul(x, square));
  const plain = kind === Unary.tanh;
  const t = tanh(plain ? x : f32x4.mul(factor, f32x4.add(x, cubic)));
  const slope = f32x4.sub(one, f32x4.mul(t, t));
  if (plain) return derive ? f32x4.mul(dy, slope) : t;
  if (!derive) return f32x4.mul(f32x4.mul(half, x), f32x4.add(one, t));
  const inner = f32x4.mul(factor, f32x4.add(one, f32x4.mul(f32x4.splat(3 * CUBIC), square)));
  return f32x4.mul(dy, f32x4.mul(half, f32x4.add(f32x4.add(one, t), f32x4.mul(x, f32x4.mul(slope, inner)))));
}

/** Bytes that gelu takes at a time: they stay in the first cache. */
const SPAN: u32 = 1024;

/**
 * gelu of a span, by the operations of apply(), a few in each loop: a processor then works on several vectors at once, where one long chain
 * of operations would fill its window.
 */
function gelu(out: usize, dy: usize, x: usize): void {
  const scale = f32x4.splat(INVERSE_SQRT_2);
  for (let p: u32 = 0; p < SPAN; p += 16) v128.store(out + p, erfTail(f32x4.mul(v128.load(x + p), scale)));
  for (let p: u32 = 0; p < SPAN; p += 16) v128.store(out + p, exp(v128.load(out + p)));
  for (let p: u32 = 0; p < SPAN; p += 16) {
    const v = v128.load(x + p);
    const whole = f32x4.add(f32x4.splat(1), erfOf(f32x4.mul(v, scale), v128.load(out + p)));
    const normal = f32x4.mul(f32x4.splat(0.5), whole);
    v128.store(out + p, dy === 0 ? f32x4.mul(v, normal) : normal);
  }
  if (dy === 0) return;
  for (let p: u32 = 0; p < SPAN; p += 16) {
    const v = v128.load(x + p);
    const density = f32x4.mul(f32x4.splat(INVERSE_SQRT_2PI), exp(f32x4.mul(f32x4.splat(-0.5), f32x4.mul(v, v))));
    v128.store(out + p, f32x4.mul(v128.load(dy + p), f32x4.add(v128.load(out + p), f32x4.mul(v, density))));
  }
}

/** dy = 0: the function itself. */
function elements(out: usize, dy: usize, x: usize, n: u32, kind: u32, accumulate: u32, ith: u32, nth: u32): void {
  const derive = dy !== 0;
  const end = shareElements(n, ith + 1, nth);
  let i = shareElements(n, ith, nth);
  // Until it is done, out holds what gelu is made of.
  const spans = kind === Unary.gelu && !accumulate;
  for (; spans && (end - i) << 2 >= SPAN; i += SPAN >> 2)
    gelu(out + (i << 2), derive ? dy + (i << 2) : 0, x + (i << 2));
  for (; i < end; i += 4) {
    const p = i << 2;
    const d = derive ? v128.load(dy + p) : f32x4.splat(0);
    put(out + p, apply(kind, derive, d, v128.load(x + p)), n - i, accumulate);
  }
}

export function unary(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const x = load<u32>(cmd, 4 * 5);
  elements(out, 0, x, load<u32>(cmd, 4 * 6), load<u32>(cmd, 4 * 7), accumulate, ith, nth);
}

export function unaryGrad(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const dy = load<u32>(cmd, 4 * 5);
  const x = load<u32>(cmd, 4 * 6);
  elements(out, dy, x, load<u32>(cmd, 4 * 7), load<u32>(cmd, 4 * 8), accumulate, ith, nth);
}
