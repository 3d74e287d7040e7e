// LAMB (You et al. 2020, arXiv:1904.00962, algorithm 2) of one tensor, with clipping by the global norm, in place:
//   g ← g·min(1, maxNorm/(norm + 1e-6))   (maxNorm 0: not clipped);   m ← m + (g − m)·(1 − β1);   v ← v·β2 + g²·(1 − β2)
//   u = m/(1 − β1ᵗ)/(√v/√(1 − β2ᵗ) + ε) + weightDecay·w;   w ← w − lr·‖w‖/‖u‖·u;   g ← 0
// Both corrections are 1 where `correct` is 0. The ratio is 1 where a norm is 0 and where decay is 0 (then weightDecay is 0 too). Three
// dispatches: moments, u in place of g, and Σ w² and Σ u² of every CHUNK elements; the ratio from these; the step. If the norm of all
// tensors is not finite nothing but g changes: it becomes 0.

struct Parameters { accumulate: u32, present: u32, n: u32, decay: u32, correct: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>; // [chunks, 2], then the ratio
@group(0) @binding(2) var<storage, read_write> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> g: array<f32>;
@group(0) @binding(4) var<storage, read_write> m: array<f32>;
@group(0) @binding(5) var<storage, read_write> v: array<f32>;
@group(0) @binding(6) var<storage, read> hyper: array<f32>; // lr, β1, β2, ε, weightDecay, 1 − β1ᵗ, √(1 − β2ᵗ), maxNorm
@group(0) @binding(7) var<storage, read> norm: array<f32>;

fn chunks() -> u32 {
  return (p.n + CHUNK - 1u) / CHUNK;
}

@compute @workgroup_size(GROUP)
fn lambDirection(here: Here) {
  let chunk = groupOf(here);
  let end = select(min(p.n, (chunk + 1u) * CHUNK), 0u, nonfinite(norm[0]));
  let clip = clipFactor(norm[0], hyper[7]);
  let weightDecay = select(0.0, hyper[4], p.decay != 0u);
  let correction1 = select(1.0, hyper[5], p.correct != 0u);
  let correction2 = select(1.0, hyper[6], p.correct != 0u);
  var ofW = 0.0;
  var ofU = 0.0;
  for (var i = chunk * CHUNK + here.at; i < end; i += GROUP) {
    let gradient = g[i] * clip;
    let m1 = m[i] + (gradient - m[i]) * (1.0 - hyper[1]);
    let v1 = v[i] * hyper[2] + (gradient * gradient) * (1.0 - hyper[2]);
    let u = (m1 / correction1) / (sqrt(v1) / correction2 + hyper[3]) + weightDecay * w[i];
    m[i] = m1;
    v[i] = v1;
    g[i] = u;
    ofW += w[i] * w[i];
    ofU += u * u;
  }
  let allW = sumOf(ofW, here.at, GROUP);
  let allU = sumOf(ofU, here.at, GROUP);
  if (here.at == 0u && chunk < chunks()) {
    sums[2u * chunk] = allW;
    sums[2u * chunk + 1u] = allU;
  }
}

@compute @workgroup_size(GROUP)
fn lambRatio(here: Here) {
  var ofW = 0.0;
  var ofU = 0.0;
  for (var i = here.at; i < chunks(); i += GROUP) {
    ofW += sums[2u * i];
    ofU += sums[2u * i + 1u];
  }
  let allW = sumOf(ofW, here.at, GROUP);
  let allU = sumOf(ofU, here.at, GROUP);
  if (here.at == 0u) { sums[2u * chunks()] = select(1.0, sqrt(allW / allU), p.decay != 0u && allW > 0.0 && allU > 0.0); }
}

@compute @workgroup_size(GROUP)
fn lamb(here: Here) {
  let i = elementOf(here);
  if (i >= p.n) { return; }
  if (!nonfinite(norm[0])) { w[i] = w[i] - (hyper[0] * sums[2u * chunks()]) * g[i]; }
  g[i] = 0.0;
}
