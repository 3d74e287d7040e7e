// LAMB (You et al. 2020, arXiv:1904.00962, algorithm 2) of one tensor, with clipping by the global norm, in place:
//   g ← g·min(1, maxNorm/(norm + 1e-6))   (maxNorm 0: not clipped);   m ← m + (g − m)·(1 − β1);   v ← v·β2 + g²·(1 − β2)
//   u = m/(1 − β1ᵗ)/(√v/√(1 − β2ᵗ) + ε) + weightDecay·w;   w ← w − lr·‖w‖/‖u‖·u;   g ← 0
// Both corrections are 1 where `correct` is 0. The ratio is 1 where a norm is 0 and where decay is 0 (then weightDecay is 0 too). u lies in
// g until it is used. Both norms are sums of 4096 elements each, these added in order in f64. If the norm of all tensors is not finite
// nothing but g changes: it becomes 0.
// words: 5 w[n], 6 g[n], 7 m[n], 8 v[n], 9 hyper[8] = lr, β1, β2, ε, weightDecay, 1 − β1ᵗ, √(1 − β2ᵗ), maxNorm, 10 norm[1], 11 n, 12 decay,
//        13 correct
// scratch: two floats for each 4096 elements.

import { clipFactor, dot, put, shareElements } from "../rows";
import { barrier } from "../thread";

const CHUNK: u32 = 4096;

/** Moments of elements first to end, and u in place of g. */
function direct(cmd: usize, first: u32, end: u32): void {
  const w = load<u32>(cmd, 4 * 5);
  const g = load<u32>(cmd, 4 * 6);
  const m = load<u32>(cmd, 4 * 7);
  const v = load<u32>(cmd, 4 * 8);
  const hyper = load<u32>(cmd, 4 * 9);
  const norm = load<f32>(load<u32>(cmd, 4 * 10));
  const decay = load<u32>(cmd, 4 * 12);
  const new1 = f32x4.splat(<f32>1 - load<f32>(hyper, 4));
  const keep2 = v128.load32_splat(hyper, 8);
  const new2 = f32x4.splat(<f32>1 - load<f32>(hyper, 8));
  const epsilon = v128.load32_splat(hyper, 12);
  const weightDecay = decay ? v128.load32_splat(hyper, 16) : f32x4.splat(0);
  const correct = load<u32>(cmd, 4 * 13);
  const correction1 = correct ? v128.load32_splat(hyper, 20) : f32x4.splat(1);
  const correction2 = correct ? v128.load32_splat(hyper, 24) : f32x4.splat(1);
  const clip = clipFactor(norm, load<f32>(hyper, 28));
  for (let i = first; i < end; i += 4) {
    const p = i << 2;
    const left = end - i;
    const gradient = f32x4.mul(v128.load(g + p), clip);
    const m0 = v128.load(m + p);
    const m1 = f32x4.add(m0, f32x4.mul(f32x4.sub(gradient, m0), new1));
    const v1 = f32x4.add(f32x4.mul(v128.load(v + p), keep2), f32x4.mul(f32x4.mul(gradient, gradient), new2));
    const divisor = f32x4.add(f32x4.div(f32x4.sqrt(v1), correction2), epsilon);
    const u = f32x4.add(f32x4.div(f32x4.div(m1, correction1), divisor), f32x4.mul(weightDecay, v128.load(w + p)));
    put(m + p, m1, left, 0);
    put(v + p, v1, left, 0);
    put(g + p, u, left, 0);
  }
}

/** ‖w‖/‖u‖ from the partial sums of squares, in pairs; 1 where either is 0. */
function ratioOf(partial: usize, chunks: u32): f32 {
  let w: f64 = 0;
  let u: f64 = 0;
  for (let i: u32 = 0; i < chunks; i++) {
    w += <f64>load<f32>(partial + (i << 3));
    u += <f64>load<f32>(partial + (i << 3), 4);
  }
  return w > 0 && u > 0 ? <f32>sqrt<f64>(w / u) : 1;
}

export function lamb(cmd: usize, ith: u32, nth: u32, sync: usize): void {
  const partial = load<u32>(cmd, 4 * 2);
  const w = load<u32>(cmd, 4 * 5);
  const g = load<u32>(cmd, 4 * 6);
  const hyper = load<u32>(cmd, 4 * 9);
  const norm = load<f32>(load<u32>(cmd, 4 * 10));
  const n = load<u32>(cmd, 4 * 11);
  const decay = load<u32>(cmd, 4 * 12);
  const chunks = (n + CHUNK - 1) / CHUNK;
  const first = shareElements(n, ith, nth);
  const end = shareElements(n, ith + 1, nth);
  // norm − norm is NaN for Infinity as for NaN; all threads see the same.
  if (norm - norm === 0) {
    for (let chunk = ith; chunk < chunks; chunk += nth) {
      const from = chunk * CHUNK;
      const to = min(n, from + CHUNK);
      direct(cmd, from, to);
      store<f32>(partial + (chunk << 3), dot(w + (from << 2), w + (from << 2), to - from));
      store<f32>(partial + (chunk << 3), dot(g + (from << 2), g + (from << 2), to - from), 4);
    }
    barrier(sync, nth);
    const rate = f32x4.splat(load<f32>(hyper) * (decay ? ratioOf(partial, chunks) : 1));
    for (let i = first; i < end; i += 4) {
      const p = i << 2;
      put(w + p, f32x4.sub(v128.load(w + p), f32x4.mul(rate, v128.load(g + p))), n - i, 0);
    }
  }
  memory.fill(g + (first << 2), 0, (end - first) << 2);
}
