// y = x̂·γ + β, x̂ = (x − μ)·r, r = 1/√(σ² + ε), over each row; σ² is the biased variance, in two passes (Ba et al. 2016, arXiv:1607.06450).
//   dx = r·(g − mean(g) − x̂·mean(g·x̂)), g = dy·γ          dγ = Σ_rows dy·x̂, rows in order          (dβ is columnSum of dy)
// layerNorm           words: 5 x[R,D], 6 gamma[D], 7 beta[D], 8 R, 9 D, 10 epsilon (f32)
// layerNormGradX      words: 5 dy[R,D], 6 x[R,D], 7 gamma[D], 8 R, 9 D, 10 epsilon (f32)
// layerNormGradGamma  words: 5 dy[R,D], 6 x[R,D], 7 R, 8 D, 9 epsilon (f32)

import { keep, put, sumOf, take, total } from "../rows";
import { share } from "../thread";

/** r = 1/√(σ² + ε) of a row with mean μ. */
function inverseDeviation(x: usize, D: u32, mean: f32, epsilon: f32): f32 {
  let sum = f32x4.splat(0);
  for (let c: u32 = 0; c < D; c += 4) {
    const d = keep(f32x4.sub(take(x + (c << 2), D - c), f32x4.splat(mean)), D - c);
    sum = f32x4.add(sum, f32x4.mul(d, d));
  }
  return <f32>1 / sqrt<f32>(total(sum) / <f32>D + epsilon);
}

export function layerNorm(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const x = load<u32>(cmd, 4 * 5);
  const gamma = load<u32>(cmd, 4 * 6);
  const beta = load<u32>(cmd, 4 * 7);
  const R = load<u32>(cmd, 4 * 8);
  const D = load<u32>(cmd, 4 * 9);
  const epsilon = load<f32>(cmd, 4 * 10);
  const end = share(R, ith + 1, nth);
  for (let row = share(R, ith, nth); row < end; row++) {
    const xRow = x + ((row * D) << 2);
    const outRow = out + ((row * D) << 2);
    const mean = sumOf(xRow, D) / <f32>D;
    const r = inverseDeviation(xRow, D, mean, epsilon);
    for (let c: u32 = 0; c < D; c += 4) {
      const p = c << 2;
      const left = D - c;
      const normal = f32x4.mul(f32x4.sub(take(xRow + p, left), f32x4.splat(mean)), f32x4.splat(r));
      const y = f32x4.add(f32x4.mul(normal, take(gamma + p, left)), take(beta + p, left));
      put(outRow + p, y, left, accumulate);
    }
  }
}

export function layerNormGradX(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const dy = load<u32>(cmd, 4 * 5);
  const x = load<u32>(cmd, 4 * 6);
  const gamma = load<u32>(cmd, 4 * 7);
  const R = load<u32>(cmd, 4 * 8);
  const D = load<u32>(cmd, 4 * 9);
  const epsilon = load<f32>(cmd, 4 * 10);
  const end = share(R, ith + 1, nth);
  for (let row = share(R, ith, nth); row < end; row++) {
    const xRow = x + ((row * D) << 2);
    const dyRow = dy + ((row * D) << 2);
    const outRow = out + ((row * D) << 2);
    const mean = sumOf(xRow, D) / <f32>D;
    const r = inverseDeviation(xRow, D, mean, epsilon);
    let sum = f32x4.splat(0);
    let product = f32x4.splat(0);
    for (let c: u32 = 0; c < D; c += 4) {
      const p = c << 2;
      const left = D - c;
      // Lanes past the row add nothing: dy is zero there.
      const g = f32x4.mul(take(dyRow + p, left), take(gamma + p, left));
      const normal = f32x4.mul(f32x4.sub(take(xRow + p, left), f32x4.splat(mean)), f32x4.splat(r));
      sum = f32x4.add(sum, g);
      product = f32x4.add(product, f32x4.mul(g, normal));
    }
    const meanG = f32x4.splat(total(sum) / <f32>D);
    const meanProduct = f32x4.splat(total(product) / <f32>D);
    for (let c: u32 = 0; c < D; c += 4) {
      const p = c << 2;
      const left = D - c;
      const g = f32x4.mul(take(dyRow + p, left), take(gamma + p, left));
      const normal = f32x4.mul(f32x4.sub(take(xRow + p, left), f32x4.splat(mean)), f32x4.splat(r));
      const centred = f32x4.sub(f32x4.sub(g, meanG), f32x4.mul(normal, meanProduct));
      put(outRow + p, f32x4.mul(f32x4.splat(r), centred), left, accumulate);
    }
  }
}

export function layerNormGradGamma(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const dy = load<u32>(cmd, 4 * 5);
  const x = load<u32>(cmd, 4 * 6);
  const R = load<u32>(cmd, 4 * 7);
  const D = load<u32>(cmd, 4 * 8);
  const epsilon = load<f32>(cmd, 4 * 9);
  // Threads split the columns; each works out the statistics of every row again, which costs less than a barrier would bring.
  const blocks = (D + 3) >> 2;
  const first = share(blocks, ith, nth) << 2;
  const end = min(D, share(blocks, ith + 1, nth) << 2);
  if (first >= end) return;
  if (!accumulate) memory.fill(out + (first << 2), 0, (end - first) << 2);
  for (let row: u32 = 0; row < R; row++) {
    const xRow = x + ((row * D) << 2);
    const dyRow = dy + ((row * D) << 2);
    const mean = sumOf(xRow, D) / <f32>D;
    const r = inverseDeviation(xRow, D, mean, epsilon);
    for (let c = first; c < end; c += 4) {
      const p = c << 2;
      const left = D - c;
      const normal = f32x4.mul(f32x4.sub(take(xRow + p, left), f32x4.splat(mean)), f32x4.splat(r));
      put(out + p, f32x4.mul(take(dyRow + p, left), normal), left, 1);
    }
  }
}
