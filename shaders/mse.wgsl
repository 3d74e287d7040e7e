// Mean squared error of each row: out = weight·(1/D)·Σ (a − b)²; da = dy·weight·(2/D)·(a − b). Weight 0: out and da are 0.

struct Parameters { accumulate: u32, present: u32, R: u32, D: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> weights: array<f32>;
@group(0) @binding(5) var<storage, read> dy: array<f32>;

@compute @workgroup_size(ROWS * LANES)
fn mse(here: Here) {
  let row = min(rowOf(here), p.R - 1u);
  var part = 0.0;
  for (var c = here.at % LANES; c < p.D; c += LANES) {
    let difference = a[row * p.D + c] - b[row * p.D + c];
    part += difference * difference;
  }
  let sum = sumOf(part, here.at, LANES);
  if (rowOf(here) != row || here.at % LANES != 0u) { return; }
  out[row] = select(0.0, (weights[row] * sum) / f32(p.D), weights[row] != 0.0);
}

@compute @workgroup_size(GROUP)
fn mseGrad(here: Here) {
  let i = elementOf(here);
  if (i >= p.R * p.D) { return; }
  let weight = weights[i / p.D];
  let slope = (2.0 * weight * dy[i / p.D]) / f32(p.D);
  out[i] = select(0.0, slope * (a[i] - b[i]), weight != 0.0);
}
