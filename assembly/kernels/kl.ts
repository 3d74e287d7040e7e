// Kullback-Leibler divergence of the softened logits from target probabilities t (Hinton et al. 2015, arXiv:1503.02531, without T²):
//   out = weight·Σ_c t·(log t − log softmax(z/T)), 0·log 0 = 0          dz = weight·dout·(softmax(z/T)·Σt − t)/T
// The row's maximum is subtracted first. Weight 0: out and dz are 0.
// kl      words: 5 targets[R,C], 6 logits[R,C], 7 temperature[1], 8 weight[R], 9 R, 10 C
// klGrad  words: 5 dout[R], 6 targets[R,C], 7 logits[R,C], 8 temperature[1], 9 weight[R], 10 R, 11 C

import { log, logOf } from "../math";
import { largest, put, putOne, shiftedExp, sumOf, sumOfExp, take, total } from "../rows";
import { share } from "../thread";

export function kl(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const targets = load<u32>(cmd, 4 * 5);
  const logits = load<u32>(cmd, 4 * 6);
  const factor: f32 = <f32>1 / load<f32>(load<u32>(cmd, 4 * 7));
  const weights = load<u32>(cmd, 4 * 8);
  const R = load<u32>(cmd, 4 * 9);
  const C = load<u32>(cmd, 4 * 10);
  const end = share(R, ith + 1, nth);
  for (let row = share(R, ith, nth); row < end; row++) {
    const weight = load<f32>(weights + (row << 2));
    let divergence: f32 = 0;
    if (weight !== 0) {
      const z = logits + ((row * C) << 2);
      const t = targets + ((row * C) << 2);
      const shift = largest(z, C);
      const logSum = f32x4.splat(logOf(sumOfExp(z, C, shift, factor)));
      let sum = f32x4.splat(0);
      for (let c: u32 = 0; c < C; c += 4) {
        const target = take(t + (c << 2), C - c);
        const scaled = f32x4.mul(f32x4.sub(take(z + (c << 2), C - c), f32x4.splat(shift)), f32x4.splat(factor));
        const term = f32x4.mul(target, f32x4.add(f32x4.sub(log(target), scaled), logSum));
        // A target of 0 counts nothing, as do the lanes past the row, which are 0 as well.
        sum = f32x4.add(sum, v128.andnot(term, f32x4.eq(target, f32x4.splat(0))));
      }
      divergence = weight * total(sum);
    }
    putOne(out + (row << 2), divergence, accumulate);
  }
}

export function klGrad(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const dout = load<u32>(cmd, 4 * 5);
  const targets = load<u32>(cmd, 4 * 6);
  const logits = load<u32>(cmd, 4 * 7);
  const factor: f32 = <f32>1 / load<f32>(load<u32>(cmd, 4 * 8));
  const weights = load<u32>(cmd, 4 * 9);
  const R = load<u32>(cmd, 4 * 10);
  const C = load<u32>(cmd, 4 * 11);
  const end = share(R, ith + 1, nth);
  for (let row = share(R, ith, nth); row < end; row++) {
    const weight = load<f32>(weights + (row << 2));
    const z = logits + ((row * C) << 2);
    const t = targets + ((row * C) << 2);
    const dz = out + ((row * C) << 2);
    if (weight === 0) {
      if (!accumulate) memory.fill(dz, 0, C << 2);
      continue;
    }
    const shift = largest(z, C);
    const ratio = f32x4.splat(sumOf(t, C) / sumOfExp(z, C, shift, factor));
    const slope = f32x4.splat(weight * load<f32>(dout + (row << 2)) * factor);
    for (let c: u32 = 0; c < C; c += 4) {
      const p = c << 2;
      const soft = f32x4.mul(shiftedExp(take(z + p, C - c), shift, factor), ratio);
      put(dz + p, f32x4.mul(slope, f32x4.sub(soft, take(t + p, C - c))), C - c, accumulate);
    }
  }
}
