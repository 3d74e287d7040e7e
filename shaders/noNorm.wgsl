// y = x·γ + β, γ and β one number a column (MobileBERT's NoNorm, Sun et al. 2020, arXiv:2004.02984). Without β the gradient of x.

struct Parameters { accumulate: u32, present: u32, R: u32, D: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(4) var<storage, read> beta: array<f32>;

@compute @workgroup_size(GROUP)
fn noNorm(here: Here) {
  let i = elementOf(here);
  if (i >= p.R * p.D) { return; }
  var y = x[i] * gamma[i % p.D];
  if (has(p.present, 4u)) { y += beta[i % p.D]; }
  out[i] = y;
}
