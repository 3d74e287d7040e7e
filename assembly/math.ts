// exp, log, erf, tanh and the logistic function of four f32 lanes, from + − × ÷ and bit operations only, so that in the strict build every engine and CPU gives the same bits.
// The shaders use the same formulas and the same constants. Polynomials were fitted here by least squares with Lawson's reweighting
// (towards the smallest maximum), each coefficient rounded to f32 before the next was fitted. Largest errors found, over every 31st
// f32 (erf: every 127th): exp 0.97 ulp, log 0.82 ulp, erf 1.28 ulp (7.7e-8), tanh 1.32 ulp (7.9e-8). A NaN gives a NaN.

import { madd } from "./madd";

// x = n·ln 2 + f: the high part of ln 2 has 9 bits, so n·LN2_HIGH is exact.
const INVERSE_LN2: f32 = 1.4426950216293335;
const LN2_HIGH: f32 = 0.693359375;
const LN2_LOW: f32 = -0.00021219444170128554;

// (eᶠ − 1 − f)/f² for |f| ≤ ln(2)/2
const EXP_0: f32 = 0.4999999403953552;
const EXP_1: f32 = 0.1666652113199234;
const EXP_2: f32 = 0.04166826233267784;
const EXP_3: f32 = 0.008368674665689468;
const EXP_4: f32 = 0.0013821055181324482;
// Beyond these e^x is Infinity or 0, and n still fits the two factors below.
const EXP_HIGHEST: f32 = 89;
const EXP_LOWEST: f32 = -104;
// 1.5·2²³, to which the addition of a small whole number is exact, and its bits.
const INTEGER: f32 = 12582912;
const INTEGER_BITS: i32 = 0x4b400000;

// With s = f/(2 + f): (log(1 + f) − 2s)/s³ as a polynomial in s², for 1 + f in [√½, √2)
const LOG_0: f32 = 0.6666677594184875;
const LOG_1: f32 = 0.3997756838798523;
const LOG_2: f32 = 0.29871460795402527;
const SQRT_HALF_BITS: i32 = 0x3f3504f3;
const SMALLEST_NORMAL: f32 = 1.1754943508222875e-38;

// erf(x)/x − 1 in x², for |x| < ERF_SPLIT
const ERF_SPLIT: f32 = 0.9;
const ERF_0: f32 = 0.12837915122509003;
const ERF_1: f32 = -0.3761250674724579;
const ERF_2: f32 = 0.11281990259885788;
const ERF_3: f32 = -0.026774050667881966;
const ERF_4: f32 = 0.005005472805351019;
const ERF_5: f32 = -0.0006059682928025723;
// log(1 − erf(x)) for ERF_SPLIT ≤ x ≤ 4; at 4 the result has reached 1
const ERFC_0: f32 = -0.00017748723621480167;
const ERFC_1: f32 = -1.1277495622634888;
const ERFC_2: f32 = -0.6370598077774048;
const ERFC_3: f32 = -0.10403726249933243;
const ERFC_4: f32 = 0.022277016192674637;
const ERFC_5: f32 = -0.0030555836856365204;
const ERFC_6: f32 = 0.00019717865507118404;
const ERF_HIGHEST: f32 = 4;

// (tanh(x)/x − 1)/x² in x², for |x| < TANH_SPLIT
const TANH_SPLIT: f32 = 0.625;
const TANH_0: f32 = -0.3333328366279602;
const TANH_1: f32 = 0.13331478834152222;
const TANH_2: f32 = -0.0537421777844429;
const TANH_3: f32 = 0.020645610988140106;
const TANH_4: f32 = -0.005710892844945192;

const SIGN_BIT: i32 = 0x80000000;

function mulAdd(a: v128, b: v128, c: f32): v128 {
  return madd(a, b, f32x4.splat(c));
}

/** 2ⁿ for −126 ≤ n ≤ 127. */
function powerOfTwo(n: v128): v128 {
  return i32x4.shl(i32x4.add(n, i32x4.splat(127)), 23);
}

/** eˣ = 2ⁿ·eᶠ, x = n·ln 2 + f. */
export function exp(x: v128): v128 {
  // pmin and pmax are one instruction each and give their first argument where it is NaN.
  const within = f32x4.pmax(f32x4.pmin(x, f32x4.splat(EXP_HIGHEST)), f32x4.splat(EXP_LOWEST));
  const n = f32x4.nearest(f32x4.mul(within, f32x4.splat(INVERSE_LN2)));
  let f = f32x4.sub(within, f32x4.mul(n, f32x4.splat(LN2_HIGH)));
  f = f32x4.sub(f, f32x4.mul(n, f32x4.splat(LN2_LOW)));
  let p = mulAdd(f32x4.splat(EXP_4), f, EXP_3);
  p = mulAdd(p, f, EXP_2);
  p = mulAdd(p, f, EXP_1);
  p = mulAdd(p, f, EXP_0);
  p = f32x4.add(f32x4.splat(1), f32x4.add(f, f32x4.mul(f32x4.mul(f, f), p)));
  // Two factors: 2ⁿ itself is no normal number at either end of the range. The sum has n as the last bits of its mantissa.
  const whole = i32x4.sub(f32x4.add(n, f32x4.splat(INTEGER)), i32x4.splat(INTEGER_BITS));
  const half = i32x4.shr_s(whole, 1);
  return f32x4.mul(f32x4.mul(p, powerOfTwo(half)), powerOfTwo(i32x4.sub(whole, half)));
}

/** log x = e·ln 2 + log(1 + f), x = 2ᵉ·(1 + f). */
export function log(x: v128): v128 {
  const subnormal = f32x4.lt(x, f32x4.splat(SMALLEST_NORMAL));
  const normal = v128.bitselect(f32x4.mul(x, f32x4.splat(8388608)), x, subnormal);
  const bits = i32x4.add(normal, i32x4.splat(0x3f800000 - SQRT_HALF_BITS));
  let exponent = i32x4.sub(i32x4.shr_s(bits, 23), i32x4.splat(127));
  exponent = i32x4.sub(exponent, v128.and(subnormal, i32x4.splat(23)));
  const e = f32x4.convert_i32x4_s(exponent);
  const m = i32x4.add(v128.and(bits, i32x4.splat(0x007fffff)), i32x4.splat(SQRT_HALF_BITS));
  const f = f32x4.sub(m, f32x4.splat(1));
  const s = f32x4.div(f, f32x4.add(f32x4.splat(2), f));
  const z = f32x4.mul(s, s);
  const r = f32x4.mul(z, mulAdd(mulAdd(f32x4.splat(LOG_2), z, LOG_1), z, LOG_0));
  // log(1 + f) = f − (f²/2 − s·(f²/2 + r)), which is f to the last bit where f is small.
  const h = f32x4.mul(f32x4.splat(0.5), f32x4.mul(f, f));
  const low = f32x4.add(f32x4.mul(s, f32x4.add(h, r)), f32x4.mul(e, f32x4.splat(LN2_LOW)));
  const y = f32x4.sub(f32x4.mul(e, f32x4.splat(LN2_HIGH)), f32x4.sub(f32x4.sub(h, low), f));
  const zero = f32x4.splat(0);
  const usual = v128.and(f32x4.gt(x, zero), f32x4.lt(x, f32x4.splat(Infinity)));
  const atZero = v128.bitselect(f32x4.splat(-Infinity), x, f32x4.eq(x, zero));
  const special = v128.bitselect(f32x4.splat(NaN), atZero, f32x4.lt(x, zero));
  return v128.bitselect(y, special, usual);
}

/** log of one number. */
export function logOf(x: f32): f32 {
  return f32x4.extract_lane(log(f32x4.splat(x)), 0);
}

/** log(1 − erf |x|), of use where |x| ≥ ERF_SPLIT. */
export function erfTail(x: v128): v128 {
  const a = f32x4.pmin(f32x4.abs(x), f32x4.splat(ERF_HIGHEST));
  let q = mulAdd(f32x4.splat(ERFC_6), a, ERFC_5);
  q = mulAdd(q, a, ERFC_4);
  q = mulAdd(q, a, ERFC_3);
  q = mulAdd(q, a, ERFC_2);
  q = mulAdd(q, a, ERFC_1);
  return mulAdd(q, a, ERFC_0);
}

/** The error function of x, 2/√π·∫₀ˣ e^(−t²) dt, from `tail`, the exponential of erfTail(x). */
export function erfOf(x: v128, tail: v128): v128 {
  const z = f32x4.mul(x, x);
  let p = mulAdd(f32x4.splat(ERF_5), z, ERF_4);
  p = mulAdd(p, z, ERF_3);
  p = mulAdd(p, z, ERF_2);
  p = mulAdd(p, z, ERF_1);
  p = mulAdd(p, z, ERF_0);
  const inner = f32x4.add(x, f32x4.mul(x, p));
  const outer = f32x4.sub(f32x4.splat(1), tail);
  const signed = v128.or(outer, v128.and(x, i32x4.splat(SIGN_BIT)));
  return v128.bitselect(inner, signed, f32x4.lt(f32x4.abs(x), f32x4.splat(ERF_SPLIT)));
}

/** The error function. */
export function erf(x: v128): v128 {
  return erfOf(x, exp(erfTail(x)));
}

/** tanh x = 1 − 2/(e²ˣ + 1). */
export function tanh(x: v128): v128 {
  const z = f32x4.mul(x, x);
  let p = mulAdd(f32x4.splat(TANH_4), z, TANH_3);
  p = mulAdd(p, z, TANH_2);
  p = mulAdd(p, z, TANH_1);
  p = mulAdd(p, z, TANH_0);
  const inner = f32x4.add(x, f32x4.mul(x, f32x4.mul(z, p)));
  const a = f32x4.abs(x);
  const one = f32x4.splat(1);
  const outer = f32x4.sub(one, f32x4.div(f32x4.splat(2), f32x4.add(exp(f32x4.add(a, a)), one)));
  const signed = v128.or(outer, v128.and(x, i32x4.splat(SIGN_BIT)));
  return v128.bitselect(inner, signed, f32x4.lt(a, f32x4.splat(TANH_SPLIT)));
}

/** The logistic function, 1/(1 + e^(−x)). */
export function sigmoid(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp(f32x4.neg(x))));
}
