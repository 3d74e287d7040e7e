// Cross entropy with one label a row: out = weight·(log Σ e^z − z[label]), the row's maximum subtracted first.
//   dz = dout·weight·(softmax(z) − onehot(label))
// No label (NONE) or weight 0: out and dz are 0. A label outside the row gives NaN, which stops the training.
// crossEntropy      words: 5 logits[R,C], 6 labels u32[R], 7 weight[R], 8 R, 9 C
// crossEntropyGrad  words: 5 dout[R], 6 logits[R,C], 7 labels u32[R], 8 weight[R], 9 R, 10 C

import { logOf } from "../math";
import { largest, NONE, put, putOne, shiftedExp, sumOfExp, take } from "../rows";
import { share } from "../thread";

export function crossEntropy(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const logits = load<u32>(cmd, 4 * 5);
  const labels = load<u32>(cmd, 4 * 6);
  const weights = load<u32>(cmd, 4 * 7);
  const R = load<u32>(cmd, 4 * 8);
  const C = load<u32>(cmd, 4 * 9);
  const end = share(R, ith + 1, nth);
  for (let row = share(R, ith, nth); row < end; row++) {
    const label = load<u32>(labels + (row << 2));
    const weight = load<f32>(weights + (row << 2));
    let loss: f32 = 0;
    if (label !== NONE && weight !== 0) {
      const z = logits + ((row * C) << 2);
      const shift = largest(z, C);
      const chosen: f32 = label < C ? load<f32>(z + (label << 2)) : NaN;
      loss = weight * (logOf(sumOfExp(z, C, shift, 1)) - (chosen - shift));
    }
    putOne(out + (row << 2), loss, accumulate);
  }
}

export function crossEntropyGrad(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const dout = load<u32>(cmd, 4 * 5);
  const logits = load<u32>(cmd, 4 * 6);
  const labels = load<u32>(cmd, 4 * 7);
  const weights = load<u32>(cmd, 4 * 8);
  const R = load<u32>(cmd, 4 * 9);
  const C = load<u32>(cmd, 4 * 10);
  const end = share(R, ith + 1, nth);
  for (let row = share(R, ith, nth); row < end; row++) {
    const label = load<u32>(labels + (row << 2));
    const weight = load<f32>(weights + (row << 2));
    const z = logits + ((row * C) << 2);
    const dz = out + ((row * C) << 2);
    if (label === NONE || weight === 0) {
      if (!accumulate) memory.fill(dz, 0, C << 2);
      continue;
    }
    const shift = largest(z, C);
    const whole = f32x4.splat(sumOfExp(z, C, shift, 1));
    const factor = f32x4.splat(label < C ? weight * load<f32>(dout + (row << 2)) : NaN);
    for (let c: u32 = 0; c < C; c += 4) {
      const p = c << 2;
      const probability = f32x4.div(shiftedExp(take(z + p, C - c), shift, 1), whole);
      const here = i32x4.eq(i32x4.add(i32x4.splat(c), i32x4(0, 1, 2, 3)), i32x4.splat(label));
      const difference = f32x4.sub(probability, v128.and(here, f32x4.splat(1)));
      put(dz + p, f32x4.mul(factor, difference), C - c, accumulate);
    }
  }
}
