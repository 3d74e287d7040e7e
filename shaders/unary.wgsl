// Functions of one argument, element by element: out = f(x), and dx = dy·f'(x).
//   gelu      x·Φ(x), Φ(x) = (1 + erf(x/√2))/2                             f' = Φ(x) + x·e^(−x²/2)/√(2π)
//   geluTanh  x/2·(1 + t), t = tanh(√(2/π)·(x + 0.044715·x³))              f' = (1 + t)/2 + x/2·(1 − t²)·√(2/π)·(1 + 3·0.044715·x²)
//   relu      max(x, 0)                                                    f' = 1 where x > 0
//   tanh                                                                   f' = 1 − tanh²
//   abs       |x|                                                          f' = the sign of x, 0 at 0
// (Hendrycks and Gimpel 2016, arXiv:1606.08415)

struct Parameters { accumulate: u32, present: u32, n: u32, kind: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;

const INVERSE_SQRT_2: f32 = 0.70710677;
const INVERSE_SQRT_2PI: f32 = 0.3989422804014327;
const SQRT_2_OVER_PI: f32 = 0.7978845608028654;
const CUBIC: f32 = 0.044715;

fn normal(v: f32) -> f32 {
  return 0.5 * (1.0 + erfOf(v * INVERSE_SQRT_2));
}

fn inner(v: f32) -> f32 {
  return SQRT_2_OVER_PI * (v + CUBIC * (v * (v * v)));
}

fn value(kind: u32, v: f32) -> f32 {
  switch (kind) {
    case Unary_gelu: { return v * normal(v); }
    case Unary_geluTanh: { return 0.5 * v * (1.0 + tanhOf(inner(v))); }
    // max may drop a NaN, which must not become a number.
    case Unary_relu: { return select(max(v, 0.0), v, isNotANumber(v)); }
    case Unary_abs: { return abs(v); }
    default: { return tanhOf(v); }
  }
}

fn derivative(kind: u32, v: f32) -> f32 {
  switch (kind) {
    case Unary_gelu: { return normal(v) + v * (INVERSE_SQRT_2PI * expOf(-0.5 * (v * v))); }
    case Unary_geluTanh: {
      let t = tanhOf(inner(v));
      let slope = SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * (v * v));
      return 0.5 * ((1.0 + t) + v * ((1.0 - t * t) * slope));
    }
    case Unary_relu: { return select(1.0, 0.0, v <= 0.0); }
    case Unary_abs: { return sign(v); }
    default: {
      let t = tanhOf(v);
      return 1.0 - t * t;
    }
  }
}

@compute @workgroup_size(GROUP)
fn unary(here: Here) {
  let i = elementOf(here);
  if (i < p.n) { out[i] = value(p.kind, x[i]); }
}

@compute @workgroup_size(GROUP)
fn unaryGrad(here: Here) {
  let i = elementOf(here);
  if (i < p.n) { out[i] = dy[i] * derivative(p.kind, x[i]); }
}
