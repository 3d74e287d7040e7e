// Mean squared error of each row: out = weight·(1/D)·Σ (a − b)²; da = dout·weight·(2/D)·(a − b). Weight 0: out and da are 0.
// mse      words: 5 a[R,D], 6 b[R,D], 7 weight[R], 8 R, 9 D
// mseGrad  words: 5 dout[R], 6 a[R,D], 7 b[R,D], 8 weight[R], 9 R, 10 D

import { put, putOne, take, total } from "../rows";
import { share } from "../thread";

export function mse(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const a = load<u32>(cmd, 4 * 5);
  const b = load<u32>(cmd, 4 * 6);
  const weights = load<u32>(cmd, 4 * 7);
  const R = load<u32>(cmd, 4 * 8);
  const D = load<u32>(cmd, 4 * 9);
  const end = share(R, ith + 1, nth);
  for (let row = share(R, ith, nth); row < end; row++) {
    const weight = load<f32>(weights + (row << 2));
    let loss: f32 = 0;
    if (weight !== 0) {
      const aRow = a + ((row * D) << 2);
      const bRow = b + ((row * D) << 2);
      let sum = f32x4.splat(0);
      for (let c: u32 = 0; c < D; c += 4) {
        const difference = f32x4.sub(take(aRow + (c << 2), D - c), take(bRow + (c << 2), D - c));
        sum = f32x4.add(sum, f32x4.mul(difference, difference));
      }
      loss = (weight * total(sum)) / <f32>D;
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
  const R = load<u32>(cmd, 4 * 9);
  const D = load<u32>(cmd, 4 * 10);
  const end = share(R, ith + 1, nth);
  for (let row = share(R, ith, nth); row < end; row++) {
    const weight = load<f32>(weights + (row << 2));
    const aRow = a + ((row * D) << 2);
    const bRow = b + ((row * D) << 2);
    const da = out + ((row * D) << 2);
    if (weight === 0) {
      if (!accumulate) memory.fill(da, 0, D << 2);
      continue;
    }
    const factor = f32x4.splat((2 * weight * load<f32>(dout + (row << 2))) / <f32>D);
    for (let c: u32 = 0; c < D; c += 4) {
      const difference = f32x4.sub(take(aRow + (c << 2), D - c), take(bRow + (c << 2), D - c));
      put(da + (c << 2), f32x4.mul(factor, difference), D - c, accumulate);
    }
  }
}
