// Kullback-Leibler divergence of the softened logits from target probabilities t (Hinton et al. 2015, arXiv:1503.02531, without T²):
//   out = weight/H·Σ_h Σ_c t·(log t − log softmax(z/T)), 0·log 0 = 0          dz = weight/H·dout·(softmax(z/T)·Σt − t)/T
// The row's maximum is subtracted first. Cross-entropy: without log t. A row is C long, or with offsets as long as its sequence (dz is 0
// past it). Weight 0: out and dz are 0.
// kl      words: 5 targets[R,H,C], 6 logits[R,H,C], 7 temperature[1], 8 weight[R], 9 offsets u32[B+1] or 0, 10 R, 11 H, 12 C, 13 B,
//                14 whether cross-entropy
// klGrad  words: 5 dout[R], 6 targets, 7 logits, 8 temperature, 9 weight, 10 offsets or 0, 11 R, 12 H, 13 C, 14 B, 15 either

import { log, logOf } from "../math";
import { clearRest, lengthOf, sequenceOf } from "../ragged";
import { largest, put, putOne, shiftedExp, sumOf, sumOfExp, take, total } from "../rows";
import { share } from "../thread";

/** Σ t·(log t − log softmax(z·factor)) of one row, or −Σ t·log softmax(z·factor). */
function divergence(t: usize, z: usize, n: u32, factor: f32, cross: u32): f32 {
  const shift = largest(z, n);
  const logSum = f32x4.splat(logOf(sumOfExp(z, n, shift, factor)));
  const zero = f32x4.splat(0);
  let sum = zero;
  for (let c: u32 = 0; c < n; c += 4) {
    const target = take(t + (c << 2), n - c);
    const scaled = f32x4.mul(f32x4.sub(take(z + (c << 2), n - c), f32x4.splat(shift)), f32x4.splat(factor));
    const own = cross ? zero : log(target);
    const term = f32x4.mul(target, f32x4.add(f32x4.sub(own, scaled), logSum));
    // A target of 0 counts nothing, as do the lanes past the row, which are 0 as well.
    sum = f32x4.add(sum, v128.andnot(term, f32x4.eq(target, zero)));
  }
  return total(sum);
}

export function kl(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const targets = load<u32>(cmd, 4 * 5);
  const logits = load<u32>(cmd, 4 * 6);
  const factor: f32 = <f32>1 / load<f32>(load<u32>(cmd, 4 * 7));
  const weights = load<u32>(cmd, 4 * 8);
  const offsets = load<u32>(cmd, 4 * 9);
  const R = load<u32>(cmd, 4 * 10);
  const H = load<u32>(cmd, 4 * 11);
  const C = load<u32>(cmd, 4 * 12);
  const B = load<u32>(cmd, 4 * 13);
  const cross = load<u32>(cmd, 4 * 14);
  const end = share(R, ith + 1, nth);
  let b: u32 = 0;
  for (let row = share(R, ith, nth); row < end; row++) {
    const weight = load<f32>(weights + (row << 2));
    if (offsets !== 0) b = sequenceOf(row, offsets, B, b);
    const length = lengthOf(b, offsets, B, C);
    let sum: f32 = 0;
    if (weight !== 0 && length !== 0) {
      for (let h: u32 = 0; h < H; h++) {
        const at = ((row * H + h) * C) << 2;
        sum += divergence(targets + at, logits + at, length, factor, cross);
      }
      sum = (weight * sum) / <f32>H;
    }
    putOne(out + (row << 2), sum, accumulate);
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
  const offsets = load<u32>(cmd, 4 * 10);
  const R = load<u32>(cmd, 4 * 11);
  const H = load<u32>(cmd, 4 * 12);
  const C = load<u32>(cmd, 4 * 13);
  const B = load<u32>(cmd, 4 * 14);
  const end = share(R, ith + 1, nth);
  let b: u32 = 0;
  for (let row = share(R, ith, nth); row < end; row++) {
    const weight = load<f32>(weights + (row << 2));
    if (offsets !== 0) b = sequenceOf(row, offsets, B, b);
    const length: u32 = weight === 0 ? 0 : lengthOf(b, offsets, B, C);
    const slope = f32x4.splat((weight * load<f32>(dout + (row << 2)) * factor) / <f32>H);
    for (let h: u32 = 0; h < H; h++) {
      const at = ((row * H + h) * C) << 2;
      const z = logits + at;
      const t = targets + at;
      if (length !== 0) {
        const shift = largest(z, length);
        const ratio = f32x4.splat(sumOf(t, length) / sumOfExp(z, length, shift, factor));
        for (let c: u32 = 0; c < length; c += 4) {
          const p = c << 2;
          const soft = f32x4.mul(shiftedExp(take(z + p, length - c), shift, factor), ratio);
          const dz = f32x4.mul(slope, f32x4.sub(soft, take(t + p, length - c)));
          put(out + at + p, dz, length - c, accumulate);
        }
      }
      clearRest(out + at, length, C, accumulate);
    }
  }
}
