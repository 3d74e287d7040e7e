// AdaDelta (Zeiler 2012, arXiv:1212.5701, in PyTorch's order) with clipping by the global norm, in place:
//   d = g·min(1, maxNorm/(norm + 1e-6)) + weightDecay·w   (maxNorm 0: not clipped; weightDecay where decay is 1)
//   v ← v·ρ + d²·(1 − ρ);   δ = √(m + ε)/√(v + ε)·d;   m ← m·ρ + δ²·(1 − ρ);   w ← w − lr·δ;   g ← 0
// If the norm is not finite nothing but g changes: it becomes 0.
// words: 5 w[n], 6 g[n], 7 m[n], 8 v[n], 9 hyper[8] = lr, –, ρ, ε, weightDecay, –, –, maxNorm, 10 norm[1], 11 n, 12 decay

import { clipFactor, put, shareElements } from "../rows";

export function adadelta(cmd: usize, ith: u32, nth: u32): void {
  const w = load<u32>(cmd, 4 * 5);
  const g = load<u32>(cmd, 4 * 6);
  const m = load<u32>(cmd, 4 * 7);
  const v = load<u32>(cmd, 4 * 8);
  const hyper = load<u32>(cmd, 4 * 9);
  const norm = load<f32>(load<u32>(cmd, 4 * 10));
  const n = load<u32>(cmd, 4 * 11);
  const decay = load<u32>(cmd, 4 * 12);
  const rate = v128.load32_splat(hyper);
  const rho = v128.load32_splat(hyper, 8);
  const fresh = f32x4.splat(<f32>1 - load<f32>(hyper, 8));
  const epsilon = v128.load32_splat(hyper, 12);
  const weightDecay = decay ? v128.load32_splat(hyper, 16) : f32x4.splat(0);
  const clip = clipFactor(norm, load<f32>(hyper, 28));
  const first = shareElements(n, ith, nth);
  const end = shareElements(n, ith + 1, nth);
  // norm − norm is NaN for Infinity as for NaN.
  if (norm - norm === 0) {
    for (let i = first; i < end; i += 4) {
      const p = i << 2;
      const w0 = v128.load(w + p);
      const m0 = v128.load(m + p);
      const d = f32x4.add(f32x4.mul(v128.load(g + p), clip), f32x4.mul(weightDecay, w0));
      const v1 = f32x4.add(f32x4.mul(v128.load(v + p), rho), f32x4.mul(f32x4.mul(d, d), fresh));
      const ratio = f32x4.div(f32x4.sqrt(f32x4.add(m0, epsilon)), f32x4.sqrt(f32x4.add(v1, epsilon)));
      const step = f32x4.mul(ratio, d);
      put(m + p, f32x4.add(f32x4.mul(m0, rho), f32x4.mul(f32x4.mul(step, step), fresh)), n - i, 0);
      put(v + p, v1, n - i, 0);
      put(w + p, f32x4.sub(w0, f32x4.mul(rate, step)), n - i, 0);
    }
  }
  memory.fill(g + (first << 2), 0, (end - first) << 2);
}
