// BertAdam (Devlin et al. 2019, arXiv:1810.04805, their code): no bias correction, decay inside the update, each tensor clipped by its
// own norm, in place:
//   g ← g·min(1, maxNorm/(own + 1e-6))   (maxNorm 0: not clipped)
//   m ← m + (g − m)·(1 − β1);   v ← v·β2 + g²·(1 − β2);   w ← w − lr·(m/(√v + ε) + weightDecay·w);   g ← 0
// If the norm of all tensors is not finite nothing but g changes: it becomes 0.
// words: 5 w[n], 6 g[n], 7 m[n], 8 v[n], 9 hyper[8] = lr, β1, β2, ε, weightDecay, –, –, maxNorm, 10 norm[1], 11 own[1], 12 n, 13 decay

import { clipFactor, put, shareElements } from "../rows";

export function bertAdam(cmd: usize, ith: u32, nth: u32): void {
  const w = load<u32>(cmd, 4 * 5);
  const g = load<u32>(cmd, 4 * 6);
  const m = load<u32>(cmd, 4 * 7);
  const v = load<u32>(cmd, 4 * 8);
  const hyper = load<u32>(cmd, 4 * 9);
  const norm = load<f32>(load<u32>(cmd, 4 * 10));
  const own = load<f32>(load<u32>(cmd, 4 * 11));
  const n = load<u32>(cmd, 4 * 12);
  const decay = load<u32>(cmd, 4 * 13);
  const rate = v128.load32_splat(hyper);
  const new1 = f32x4.splat(<f32>1 - load<f32>(hyper, 4));
  const keep2 = v128.load32_splat(hyper, 8);
  const new2 = f32x4.splat(<f32>1 - load<f32>(hyper, 8));
  const epsilon = v128.load32_splat(hyper, 12);
  const weightDecay = decay ? v128.load32_splat(hyper, 16) : f32x4.splat(0);
  const clip = clipFactor(own, load<f32>(hyper, 28));
  const first = shareElements(n, ith, nth);
  const end = shareElements(n, ith + 1, nth);
  // norm − norm is NaN for Infinity as for NaN.
  if (norm - norm === 0) {
    for (let i = first; i < end; i += 4) {
      const p = i << 2;
      const gradient = f32x4.mul(v128.load(g + p), clip);
      const m0 = v128.load(m + p);
      const w0 = v128.load(w + p);
      const m1 = f32x4.add(m0, f32x4.mul(f32x4.sub(gradient, m0), new1));
      const v1 = f32x4.add(f32x4.mul(v128.load(v + p), keep2), f32x4.mul(f32x4.mul(gradient, gradient), new2));
      const direction = f32x4.div(m1, f32x4.add(f32x4.sqrt(v1), epsilon));
      const step = f32x4.mul(rate, f32x4.add(direction, f32x4.mul(weightDecay, w0)));
      put(m + p, m1, n - i, 0);
      put(v + p, v1, n - i, 0);
      put(w + p, f32x4.sub(w0, step), n - i, 0);
    }
  }
  memory.fill(g + (first << 2), 0, (end - first) << 2);
}
