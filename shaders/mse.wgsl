// Mean squared error over heads and the last axis: out = weight·(1/(H·len))·Σ (a − b)²; da = dy·weight·(2/(H·len))·(a − b).
// len is D, or with offsets the length of the row's sequence (da is 0 past it). Weight 0: out and da are 0.

struct Parameters { accumulate: u32, present: u32, R: u32, H: u32, D: u32, B: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read> a: array<f32>;
@group(0) @binding(5) var<storage, read> b: array<f32>;
@group(0) @binding(6) var<storage, read> dy: array<f32>;

@compute @workgroup_size(ROWS * LANES)
fn mse(here: Here) {
  let row = min(rowOf(here), p.R - 1u);
  let length = lengthOf(row, p.B, p.D, p.present);
  var part = 0.0;
  for (var h = row * p.H; h < (row + 1u) * p.H; h++) {
    for (var c = here.at % LANES; c < length; c += LANES) {
      let difference = a[h * p.D + c] - b[h * p.D + c];
      part += difference * difference;
    }
  }
  let sum = sumOf(part, here.at, LANES);
  if (rowOf(here) != row || here.at % LANES != 0u) { return; }
  out[row] = select(0.0, (weights[row] * sum) / f32(p.H * max(length, 1u)), weights[row] != 0.0);
}

@compute @workgroup_size(ROWS * LANES)
fn mseGrad(here: Here) {
  let row = rowOf(here);
  if (row >= p.R * p.H) { return; }
  let n = row / p.H;
  let weight = weights[n];
  let length = select(0u, lengthOf(n, p.B, p.D, p.present), weight != 0.0);
  let slope = (2.0 * weight * dy[n]) / f32(p.H * max(length, 1u));
  for (var c = here.at % LANES; c < p.D; c += LANES) {
    let i = row * p.D + c;
    var value = 0.0;
    if (c < length) { value = slope * (a[i] - b[i]); }
    out[i] = value;
  }
}
