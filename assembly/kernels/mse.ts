// Mean squared error over heads and the last axis: out = weight·(1/(H·len))·Σ (a − b)²; da = dout·weight·(2/(H·len))·(a − b).
// len is D, or with offsets the length of the row's sequence (da is 0 past it). Weight 0: out and da are 0.
// mse      words: 5 a[R,H,D], 6 b[R,H,D], 7 weight[R], 8 offsets u32[B+1] or 0, 9 R, 10 H, 11 D, 12 B
// mseGrad  words: 5 dout[R], 6 a[R,H,D], 7 b[R,H,D], 8 weight[R], 9 offsets or 0, 10 R, 11 H, 12 D, 13 B

import { clearRest, lengthOf, sequenceOf } from "../ragged";
import { put, putOne, take, total } from "../rows";
import { share } from "../thread";

export function mse(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const a = load<u32>(cmd, 4 * 5);
  const b = load<u32>(cmd, 4 * 6);
  const weights = load<u32>(cmd, 4 * 7);
  const offsets = load<u32>(cmd, 4 * 8);
  const R = load<u32>(cmd, 4 * 9);
  const H = load<u32>(cmd, 4 * 10);
  const D = load<u32>(cmd, 4 * 11);
  const B = load<u32>(cmd, 4 * 12);
  const end = share(R, ith + 1, nth);
  let s: u32 = 0;
  for (let row = share(R, ith, nth); row < end; row++) {
    const weight = load<f32>(weights + (row << 2));
    if (offsets !== 0) s = sequenceOf(row, offsets, B, s);
    const length = lengthOf(s, offsets, B, D);
    let loss: f32 = 0;
    if (weight !== 0 && length !== 0) {
      let sum: f32 = 0;
      for (let h: u32 = 0; h < H; h++) {
        const at = ((row * H + h) * D) << 2;
        let part = f32x4.splat(0);
        for (let c: u32 = 0; c < length; c += 4) {
          const p = at + (c << 2);
          const difference = f32x4.sub(take(a + p, length - c), take(b + p, length - c));
          part = f32x4.add(part, f32x4.mul(difference, difference));
        }
        sum += total(part);
      }
      loss = (weight * sum) / <f32>(H * length);
    }
    putOne(out + (row << 2), loss, accumulate);
  }
}

export function mseGrad(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const dout = load<u32>(cmd, 4 * 5);
  const a = load<u32>(cmd, 4 * 6);
  const b = load<u32>(cmd, 4 * 7);
  const weights = load<u32>(cmd, 4 * 8);
  const offsets = load<u32>(cmd, 4 * 9);
  const R = load<u32>(cmd, 4 * 10);
  const H = load<u32>(cmd, 4 * 11);
  const D = load<u32>(cmd, 4 * 12);
  const B = load<u32>(cmd, 4 * 13);
  const end = share(R, ith + 1, nth);
  let s: u32 = 0;
  for (let row = share(R, ith, nth); row < end; row++) {
    const weight = load<f32>(weights + (row << 2));
    if (offsets !== 0) s = sequenceOf(row, offsets, B, s);
    const length: u32 = weight === 0 ? 0 : lengthOf(s, offsets, B, D);
    const factor = f32x4.splat((2 * weight * load<f32>(dout + (row << 2))) / <f32>(H * length));
    for (let h: u32 = 0; h < H; h++) {
      const at = ((row * H + h) * D) << 2;
      for (let c: u32 = 0; c < length; c += 4) {
        const p = at + (c << 2);
        const difference = f32x4.sub(take(a + p, length - c), take(b + p, length - c));
        put(out + p, f32x4.mul(factor, difference), length - c, accumulate);
      }
      clearRest(out + at, length, D, accumulate);
    }
  }
}
