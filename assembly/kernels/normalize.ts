// Rows of length one: y = x/max(‖x‖₂, ε). dx = (dy − y·Σ dy·y)/‖x‖ where ‖x‖ > ε, else dy/ε.
// normalize      words: 5 x[R,D], 6 R, 7 D, 8 epsilon (f32)
// normalizeGrad  words: 5 dy[R,D], 6 x[R,D], 7 R, 8 D, 9 epsilon (f32)

import { dot, put, take } from "../rows";
import { share } from "../thread";

export function normalize(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const x = load<u32>(cmd, 4 * 5);
  const R = load<u32>(cmd, 4 * 6);
  const D = load<u32>(cmd, 4 * 7);
  const epsilon = load<f32>(cmd, 4 * 8);
  const end = share(R, ith + 1, nth);
  for (let row = share(R, ith, nth); row < end; row++) {
    const xRow = x + ((row * D) << 2);
    const outRow = out + ((row * D) << 2);
    const norm = f32x4.splat(max(sqrt<f32>(dot(xRow, xRow, D)), epsilon));
    for (let c: u32 = 0; c < D; c += 4) {
      put(outRow + (c << 2), f32x4.div(take(xRow + (c << 2), D - c), norm), D - c, accumulate);
    }
  }
}

export function normalizeGrad(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const dy = load<u32>(cmd, 4 * 5);
  const x = load<u32>(cmd, 4 * 6);
  const R = load<u32>(cmd, 4 * 7);
  const D = load<u32>(cmd, 4 * 8);
  const epsilon = load<f32>(cmd, 4 * 9);
  const end = share(R, ith + 1, nth);
  for (let row = share(R, ith, nth); row < end; row++) {
    const xRow = x + ((row * D) << 2);
    const dyRow = dy + ((row * D) << 2);
    const outRow = out + ((row * D) << 2);
    const norm = sqrt<f32>(dot(xRow, xRow, D));
    const divisor = f32x4.splat(max(norm, epsilon));
    const inner = f32x4.splat(norm <= epsilon ? 0 : dot(dyRow, xRow, D) / norm);
    for (let c: u32 = 0; c < D; c += 4) {
      const p = c << 2;
      const y = f32x4.div(take(xRow + p, D - c), divisor);
      const dx = f32x4.div(f32x4.sub(take(dyRow + p, D - c), f32x4.mul(y, inner)), divisor);
      put(outRow + p, dx, D - c, accumulate);
    }
  }
}
