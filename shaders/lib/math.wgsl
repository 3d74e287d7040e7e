// exp, log, erf, tanh and the logistic function from + − × ÷ and bit operations: formulas and constants of assembly/math.ts, where their errors are stated.
// A NaN is told by its bits, because a compiler may assume that there is none, and gives a NaN.

const INVERSE_LN2: f32 = 1.4426950216293335;
const LN2_HIGH: f32 = 0.693359375;
const LN2_LOW: f32 = -0.00021219444170128554;

const EXP_0: f32 = 0.4999999403953552;
const EXP_1: f32 = 0.1666652113199234;
const EXP_2: f32 = 0.04166826233267784;
const EXP_3: f32 = 0.008368674665689468;
const EXP_4: f32 = 0.0013821055181324482;
const EXP_HIGHEST: f32 = 89;
const EXP_LOWEST: f32 = -104;

const LOG_0: f32 = 0.6666677594184875;
const LOG_1: f32 = 0.3997756838798523;
const LOG_2: f32 = 0.29871460795402527;
const SQRT_HALF_BITS: i32 = 0x3f3504f3;
const SMALLEST_NORMAL: f32 = 1.1754943508222875e-38;

const ERF_SPLIT: f32 = 0.9;
const ERF_0: f32 = 0.12837915122509003;
const ERF_1: f32 = -0.3761250674724579;
const ERF_2: f32 = 0.11281990259885788;
const ERF_3: f32 = -0.026774050667881966;
const ERF_4: f32 = 0.005005472805351019;
const ERF_5: f32 = -0.0006059682928025723;
const ERFC_0: f32 = -0.00017748723621480167;
const ERFC_1: f32 = -1.1277495622634888;
const ERFC_2: f32 = -0.6370598077774048;
const ERFC_3: f32 = -0.10403726249933243;
const ERFC_4: f32 = 0.022277016192674637;
const ERFC_5: f32 = -0.0030555836856365204;
const ERFC_6: f32 = 0.00019717865507118404;
const ERF_HIGHEST: f32 = 4;

const TANH_SPLIT: f32 = 0.625;
const TANH_0: f32 = -0.3333328366279602;
const TANH_1: f32 = 0.13331478834152222;
const TANH_2: f32 = -0.0537421777844429;
const TANH_3: f32 = 0.020645610988140106;
const TANH_4: f32 = -0.005710892844945192;

// The most negative number: WGSL has no literal for infinity, and log 0 must not become a NaN further on.
const LOWEST: f32 = -3.4028234663852886e38;

/** Not a finite number: the exponent's bits are all set. */
fn nonfinite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7f800000u) == 0x7f800000u;
}

fn isNotANumber(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

/** A NaN made from any number, for what must stop the training. */
fn poison(seed: u32) -> f32 {
  return bitcast<f32>(seed | 0x7fc00000u);
}

/** 2ⁿ for −126 ≤ n ≤ 127. */
fn powerOfTwo(n: i32) -> f32 {
  return bitcast<f32>((n + 127) << 23u);
}

/** eˣ = 2ⁿ·eᶠ, x = n·ln 2 + f. */
fn expOf(x: f32) -> f32 {
  let within = clamp(x, EXP_LOWEST, EXP_HIGHEST);
  let n = round(within * INVERSE_LN2);
  let f = (within - n * LN2_HIGH) - n * LN2_LOW;
  let p = ((EXP_4 * f + EXP_3) * f + EXP_2) * f + EXP_1;
  let y = 1.0 + (f + (f * f) * (p * f + EXP_0));
  // Two factors: 2ⁿ itself is no normal number at either end of the range.
  let whole = i32(n);
  let first = whole >> 1u;
  return select((y * powerOfTwo(first)) * powerOfTwo(whole - first), x, isNotANumber(x));
}

/** log x = e·ln 2 + log(1 + f), x = 2ᵉ·(1 + f). For x ≤ 0 the most negative number. */
fn logOf(x: f32) -> f32 {
  let subnormal = x < SMALLEST_NORMAL;
  let bits = bitcast<i32>(select(x, x * 8388608.0, subnormal)) + (0x3f800000 - SQRT_HALF_BITS);
  let e = f32((bits >> 23u) - 127 - select(0, 23, subnormal));
  let f = bitcast<f32>((bits & 0x007fffff) + SQRT_HALF_BITS) - 1.0;
  let s = f / (2.0 + f);
  let z = s * s;
  let r = z * ((LOG_2 * z + LOG_1) * z + LOG_0);
  let h = 0.5 * (f * f);
  let low = s * (h + r) + e * LN2_LOW;
  let y = e * LN2_HIGH - ((h - low) - f);
  return select(select(y, LOWEST, x <= 0.0), x, nonfinite(x));
}

/** The error function, 2/√π·∫₀ˣ e^(−t²) dt. */
fn erfOf(x: f32) -> f32 {
  let z = x * x;
  let p = ((((ERF_5 * z + ERF_4) * z + ERF_3) * z + ERF_2) * z + ERF_1) * z + ERF_0;
  let a = min(abs(x), ERF_HIGHEST);
  let q = (((((ERFC_6 * a + ERFC_5) * a + ERFC_4) * a + ERFC_3) * a + ERFC_2) * a + ERFC_1) * a + ERFC_0;
  let outer = 1.0 - expOf(q);
  let y = select(select(outer, -outer, x < 0.0), x + x * p, a < ERF_SPLIT);
  return select(y, x, isNotANumber(x));
}

/** tanh x = 1 − 2/(e²ˣ + 1). */
fn tanhOf(x: f32) -> f32 {
  let z = x * x;
  let p = (((TANH_4 * z + TANH_3) * z + TANH_2) * z + TANH_1) * z + TANH_0;
  let a = abs(x);
  let outer = 1.0 - 2.0 / (expOf(a + a) + 1.0);
  let y = select(select(outer, -outer, x < 0.0), x + x * (z * p), a < TANH_SPLIT);
  return select(y, x, isNotANumber(x));
}

/** The logistic function, 1/(1 + e^(−x)). */
fn sigmoidOf(x: f32) -> f32 {
  return 1.0 / (1.0 + expOf(-x));
}

/** What gradients of this norm are multiplied by, as torch.nn.utils.clip_grad_norm_ does; maxNorm 0: they are not clipped. */
fn clipFactor(norm: f32, maxNorm: f32) -> f32 {
  return select(1.0, min(1.0, maxNorm / (norm + 1e-6)), maxNorm > 0.0);
}
