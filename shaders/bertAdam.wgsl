// BertAdam (Devlin et al. 2019, arXiv:1810.04805, their code): no bias correction, decay inside the update, each tensor clipped by its
// own norm, in place:
//   g ← g·min(1, maxNorm/(own + 1e-6))   (maxNorm 0: not clipped)
//   m ← m + (g − m)·(1 − β1);   v ← v·β2 + g²·(1 − β2);   w ← w − lr·(m/(√v + ε) + weightDecay·w);   g ← 0
// If the norm of all tensors is not finite nothing but g changes: it becomes 0.

struct Parameters { accumulate: u32, present: u32, n: u32, decay: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> m: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<f32>;
@group(0) @binding(5) var<storage, read> hyper: array<f32>; // lr, β1, β2, ε, weightDecay, –, –, maxNorm
@group(0) @binding(6) var<storage, read> norm: array<f32>;
@group(0) @binding(7) var<storage, read> own: array<f32>;

@compute @workgroup_size(GROUP)
fn bertAdam(here: Here) {
  let i = elementOf(here);
  if (i >= p.n) { return; }
  if (!nonfinite(norm[0])) {
    let clip = clipFactor(own[0], hyper[7]);
    let gradient = g[i] * clip;
    let m1 = m[i] + (gradient - m[i]) * (1.0 - hyper[1]);
    let v1 = v[i] * hyper[2] + (gradient * gradient) * (1.0 - hyper[2]);
    let weightDecay = select(0.0, hyper[4], p.decay != 0u);
    m[i] = m1;
    v[i] = v1;
    w[i] = w[i] - hyper[0] * (m1 / (sqrt(v1) + hyper[3]) + weightDecay * w[i]);
  }
  g[i] = 0.0;
}
