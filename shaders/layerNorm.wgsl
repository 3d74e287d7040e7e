// y = x̂·γ + β, x̂ = (x − μ)·r, r = 1/√(σ² + ε), over each row; σ² is the biased variance, in two passes (Ba et al. 2016, arXiv:1607.06450).
//   dx = r·(g − mean(g) − x̂·mean(g·x̂)), g = dy·γ          dγ (+)= Σ_rows dy·x̂          (dβ is columnSum of dy)
// dγ takes two dispatches: μ and r of every row into scratch, then the sums of columns.

struct Parameters { accumulate: u32, present: u32, R: u32, D: u32, epsilon: f32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>; // or, of layerNormStatistics, scratch
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(4) var<storage, read> beta: array<f32>;
// The gradients bind others in these places.
@group(0) @binding(3) var<storage, read_write> statistics: array<f32>; // [R, 2]
@group(0) @binding(4) var<storage, read> dy: array<f32>;

/** μ and r of row r; past the last row, of the last. */
fn standard(row: u32, at: u32) -> vec2<f32> {
  let first = min(row, p.R - 1u) * p.D;
  let lane = at % LANES;
  var part = 0.0;
  for (var c = lane; c < p.D; c += LANES) { part += x[first + c]; }
  let mean = sumOf(part, at, LANES) / f32(p.D);
  part = 0.0;
  for (var c = lane; c < p.D; c += LANES) {
    let apart = x[first + c] - mean;
    part += apart * apart;
  }
  return vec2<f32>(mean, 1.0 / sqrt(sumOf(part, at, LANES) / f32(p.D) + p.epsilon));
}

@compute @workgroup_size(ROWS * LANES)
fn layerNorm(here: Here) {
  let at = here.at;
  let row = rowOf(here);
  let s = standard(row, at);
  if (row >= p.R) { return; }
  for (var c = at % LANES; c < p.D; c += LANES) {
    let i = row * p.D + c;
    out[i] = ((x[i] - s.x) * s.y) * gamma[c] + beta[c];
  }
}

@compute @workgroup_size(ROWS * LANES)
fn layerNormGradX(here: Here) {
  let at = here.at;
  let row = rowOf(here);
  let s = standard(row, at);
  let first = min(row, p.R - 1u) * p.D;
  var part = 0.0;
  var product = 0.0;
  for (var c = at % LANES; c < p.D; c += LANES) {
    let g = dy[first + c] * gamma[c];
    part += g;
    product += g * ((x[first + c] - s.x) * s.y);
  }
  let meanG = sumOf(part, at, LANES) / f32(p.D);
  let meanProduct = sumOf(product, at, LANES) / f32(p.D);
  if (row >= p.R) { return; }
  for (var c = at % LANES; c < p.D; c += LANES) {
    let i = first + c;
    out[i] = s.y * ((dy[i] * gamma[c] - meanG) - ((x[i] - s.x) * s.y) * meanProduct);
  }
}

@compute @workgroup_size(ROWS * LANES)
fn layerNormStatistics(here: Here) {
  let at = here.at;
  let row = rowOf(here);
  let s = standard(row, at);
  if (row < p.R && at % LANES == 0u) {
    out[2u * row] = s.x;
    out[2u * row + 1u] = s.y;
  }
}

@compute @workgroup_size(COLUMNS * SLICES)
fn layerNormGradGamma(here: Here) {
  let at = here.at;
  let d = here.group.x * COLUMNS + at % COLUMNS;
  var part = 0.0;
  if (d < p.D) {
    for (var r = at / COLUMNS; r < p.R; r += SLICES) {
      let i = r * p.D + d;
      part += dy[i] * ((x[i] - statistics[2u * r]) * statistics[2u * r + 1u]);
    }
  }
  let sum = sumOfSlices(part, at);
  if (at < COLUMNS && d < p.D) {
    if (p.accumulate == 0u) {
      out[d] = sum;
    } else {
      out[d] = out[d] + sum;
    }
  }
}
