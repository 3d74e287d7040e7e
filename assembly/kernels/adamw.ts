// AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101, in PyTorch's order) with clipping by the global norm, in place:
//   g ← g·min(1, maxNorm/(norm + 1e-6))   (torch.nn.utils.clip_grad_norm_; maxNorm 0: not clipped)
//   w ← w·(1 − lr·weightDecay) where decay is 1;   m ← m + (g − m)·(1 − β1);   v ← v·β2 + g²·(1 − β2)
//   w ← w − lr/(1 − β1ᵗ)·m/(√v/√(1 − β2ᵗ) + ε);   g ← 0
// If the norm is not finite nothing but g changes: it becomes 0.
// words: 5 w[n], 6 g[n], 7 m[n], 8 v[n], 9 hyper[8] = lr, β1, β2, ε, weightDecay, 1 − β1ᵗ, √(1 − β2ᵗ), maxNorm, 10 norm[1], 11 n, 12 decay

import { clipFactor, put, shareElements } from "../rows";

export function adamw(cmd: usize, ith: u32, nth: u32): void {
  const w = load<u32>(cmd, 4 * 5);
  const g = load<u32>(cmd, 4 * 6);
  const m = load<u32>(cmd, 4 * 7);
  const v = load<u32>(cmd, 4 * 8);
  const hyper = load<u32>(cmd, 4 * 9);
  const norm = load<f32>(load<u32>(cmd, 4 * 10));
  const n = load<u32>(cmd, 4 * 11);
  const decay = load<u32>(cmd, 4 * 12);
  const rate = load<f32>(hyper);
  const beta1 = load<f32>(hyper, 4);
  const beta2 = load<f32>(hyper, 8);
  const weightDecay: f32 = decay ? load<f32>(hyper, 16) : 0;
  const shrink = f32x4.splat(<f32>1 - rate * weightDecay);
  const epsilon = v128.load32_splat(hyper, 12);
  const new1 = f32x4.splat(<f32>1 - beta1);
  const new2 = f32x4.splat(<f32>1 - beta2);
  const keep2 = f32x4.splat(beta2);
  const step = f32x4.splat(rate / load<f32>(hyper, 20));
  const correction = v128.load32_splat(hyper, 24);
  const clip = clipFactor(norm, load<f32>(hyper, 28));
  const first = shareElements(n, ith, nth);
  const end = shareElements(n, ith + 1, nth);
  // norm − norm is NaN for Infinity as for NaN.
  if (norm - norm === 0) {
    for (let i = first; i < end; i += 4) {
      const p = i << 2;
      const gradient = f32x4.mul(v128.load(g + p), clip);
      const m0 = v128.load(m + p);
      const m1 = f32x4.add(m0, f32x4.mul(f32x4.sub(gradient, m0), new1));
      const v1 = f32x4.add(f32x4.mul(v128.load(v + p), keep2), f32x4.mul(f32x4.mul(gradient, gradient), new2));
      const divisor = f32x4.add(f32x4.div(f32x4.sqrt(v1), correction), epsilon);
      const w1 = f32x4.sub(f32x4.mul(v128.load(w + p), shrink), f32x4.mul(step, f32x4.div(m1, divisor)));
      put(m + p, m1, n - i, 0);
      put(v + p, v1, n - i, 0);
      put(w + p, w1, n - i, 0);
    }
  }
  memory.fill(g + (first << 2), 0, (end - first) << 2);
}
