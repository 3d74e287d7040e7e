// AdaDelta (Zeiler 2012, arXiv:1212.5701, in PyTorch's order) with clipping by the global norm, in place:
//   d = g·min(1, maxNorm/(norm + 1e-6)) + weightDecay·w   (maxNorm 0: not clipped; weightDecay where decay is 1)
//   v ← v·ρ + d²·(1 − ρ);   δ = √(m + ε)/√(v + ε)·d;   m ← m·ρ + δ²·(1 − ρ);   w ← w − lr·δ;   g ← 0
// If the norm is not finite nothing but g changes: it becomes 0.

struct Parameters { accumulate: u32, present: u32, n: u32, decay: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> m: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<f32>;
@group(0) @binding(5) var<storage, read> hyper: array<f32>; // lr, –, ρ, ε, weightDecay, –, –, maxNorm
@group(0) @binding(6) var<storage, read> norm: array<f32>;

@compute @workgroup_size(GROUP)
fn adadelta(here: Here) {
  let i = elementOf(here);
  if (i >= p.n) { return; }
  if (!nonfinite(norm[0])) {
    let clip = clipFactor(norm[0], hyper[7]);
    let d = g[i] * clip + select(0.0, hyper[4], p.decay != 0u) * w[i];
    let v1 = v[i] * hyper[2] + (d * d) * (1.0 - hyper[2]);
    let step = sqrt(m[i] + hyper[3]) / sqrt(v1 + hyper[3]) * d;
    m[i] = m[i] * hyper[2] + (step * step) * (1.0 - hyper[2]);
    v[i] = v1;
    w[i] = w[i] - hyper[0] * step;
  }
  g[i] = 0.0;
}
