// exp, log, cos and integer powers in f64 for the host, from + - × ÷ alone: `Math.exp` and its kin differ in the last
// bits between engines, and a schedule or an initial weight must not. Argument reduction with constants split in parts
// whose products with the reduction's integer are exact (Cody and Waite 1980), then Taylor or atanh series.
// Errors stay within about two units in the last place.

import { LimbeckError } from "./errors.ts";

// ln 2 to 32 fraction bits, and the rest.
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
const LOG2_E = 1 / (LN2_HIGH + LN2_LOW);
// Any bound near √½ does: it only keeps s small.
const SQRT_HALF = 0.7072;
// π/2 to 32 and 65 fraction bits, and the rest.
const HALF_PI_HIGH = 1.5707963267341256;
const HALF_PI_MIDDLE = 6.077100506303966e-11;
const HALF_PI_LOW = 2.0222662487959506e-21;

/** base^n for an integer n ≥ 0, by squaring; exact for powers of two. */
export function powInt(base: number, n: number): number {
  if (!Number.isSafeInteger(n) || n < 0) {
    throw new LimbeckError("BAD_EXPONENT", `powInt needs an integer exponent of at least 0, got ${n}`);
  }
  let result = 1;
  let square = base;
  for (let rest = n; rest > 0; ) {
    if (rest % 2 === 1) result *= square;
    rest = Math.floor(rest / 2);
    // The last square is not needed and could overflow.
    if (rest > 0) square *= square;
  }
  return result;
}

function timesPowerOfTwo(x: number, k: number): number {
  // In two factors: 2^1024 and 2^-1074 alone would overflow or lose bits where the product does not.
  const half = Math.floor(k / 2);
  const rest = k - half;
  return x * powInt(half < 0 ? 0.5 : 2, Math.abs(half)) * powInt(rest < 0 ? 0.5 : 2, Math.abs(rest));
}

/** e^x = 2^k · e^r with |r| ≤ ln 2 / 2, e^r by its Taylor series. */
export function exp(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x > 710) return Infinity;
  if (x < -746) return 0;
  const k = Math.floor(x * LOG2_E + 0.5);
  const r = x - k * LN2_HIGH - k * LN2_LOW;
  // Σ r^i / i! from the smallest term: 14 terms reach 2^-54 of the sum.
  let sum = 1;
  for (let i = 14; i > 1; i--) sum = 1 + (r / i) * sum;
  return timesPowerOfTwo(1 + r * sum, k);
}

/** ln x = k ln 2 + 2 atanh(s), s = (m − 1)/(m + 1), x = m · 2^k with m in [√½, √2). */
export function log(x: number): number {
  if (Number.isNaN(x) || x < 0) return Number.NaN;
  if (x === 0) return -Infinity;
  if (x === Infinity) return x;
  let m = x;
  let k = 0;
  // All of these products are exact. Large steps first, so that the ends of the range do not take a thousand of them.
  while (m >= 4294967296) {
    m *= 1 / 4294967296;
    k += 32;
  }
  while (m < 1 / 4294967296) {
    m *= 4294967296;
    k -= 32;
  }
  while (m >= 2 * SQRT_HALF) {
    m *= 0.5;
    k += 1;
  }
  while (m < SQRT_HALF) {
    m *= 2;
    k -= 1;
  }
  const f = m - 1;
  const s = f / (m + 1);
  const s2 = s * s;
  // atanh(s)/s − 1 = s²/3 + s⁴/5 + …; s² ≤ 0.0295, so 11 terms reach 2^-55 of the first.
  let series = 0;
  for (let i = 23; i >= 3; i -= 2) series = s2 * (series + 1 / i);
  // 2s = f − s·f keeps the leading term exact, where 2s itself is rounded.
  return k * LN2_HIGH + (f - s * (f - 2 * series) + k * LN2_LOW);
}

/** cos x for |x| < 10^6: x = k · π/2 + r with |r| ≤ π/4, then the Taylor series of ±cos r or ±sin r. */
export function cos(x: number): number {
  if (!(Math.abs(x) < 1e6)) {
    throw new LimbeckError("BAD_ANGLE", `cos needs an angle of less than 10^6 radians, got ${x}`);
  }
  const k = Math.floor(x / HALF_PI_HIGH + 0.5);
  const r = x - k * HALF_PI_HIGH - k * HALF_PI_MIDDLE - k * HALF_PI_LOW;
  const quadrant = k & 3;
  const odd = quadrant & 1;
  const r2 = r * r;
  // cos r = 1 − r²/(1·2) (1 − r²/(3·4) (…)), sin r = r (1 − r²/(2·3) (1 − r²/(4·5) (…))).
  let sum = 1;
  for (let i = 18 + odd; i > 1; i -= 2) sum = 1 - (r2 / (i * (i - 1))) * sum;
  const value = odd ? r * sum : sum;
  return quadrant === 1 || quadrant === 2 ? -value : value;
}
