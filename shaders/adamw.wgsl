// AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101, in PyTorch's order) with clipping by the global norm, in place:
//   g ← g·min(1, maxNorm/(norm + 1e-6))   (torch.nn.utils.clip_grad_norm_; maxNorm 0: not clipped)
//   w ← w·(1 − lr·weightDecay) where decay is 1;   m ← m + (g − m)·(1 − β1);   v ← v·β2 + g²·(1 − β2)
//   w ← w − lr/(1 − β1ᵗ)·m/(√v/√(1 − β2ᵗ) + ε);   g ← 0
// If the norm is not finite nothing but g changes: it becomes 0.

struct Parameters { accumulate: u32, present: u32, n: u32, decay: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> m: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<f32>;
@group(0) @binding(5) var<storage, read> hyper: array<f32>; // lr, β1, β2, ε, weightDecay, 1 − β1ᵗ, √(1 − β2ᵗ), maxNorm
@group(0) @binding(6) var<storage, read> norm: array<f32>;

@compute @workgroup_size(GROUP)
fn adamw(here: Here) {
  let i = elementOf(here);
  if (i >= p.n) { return; }
  if (!nonfinite(norm[0])) {
    let clip = clipFactor(norm[0], hyper[7]);
    let shrink = 1.0 - hyper[0] * select(0.0, hyper[4], p.decay != 0u);
    let gradient = g[i] * clip;
    let m1 = m[i] + (gradient - m[i]) * (1.0 - hyper[1]);
    let v1 = v[i] * hyper[2] + (gradient * gradient) * (1.0 - hyper[2]);
    let divisor = sqrt(v1) / hyper[6] + hyper[3];
    m[i] = m1;
    v[i] = v1;
    w[i] = w[i] * shrink - (hyper[0] / hyper[5]) * (m1 / divisor);
  }
  g[i] = 0.0;
}
