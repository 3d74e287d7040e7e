// y = x·γ + β, γ and β one number a column (MobileBERT's NoNorm, Sun et al. 2020, arXiv:2004.02984). Without β the gradient of x.
// words: 5 x[R,D], 6 gamma[D], 7 beta[D] or 0, 8 R, 9 D

import { put, take } from "../rows";
import { share } from "../thread";

export function noNorm(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const x = load<u32>(cmd, 4 * 5);
  const gamma = load<u32>(cmd, 4 * 6);
  const beta = load<u32>(cmd, 4 * 7);
  const R = load<u32>(cmd, 4 * 8);
  const D = load<u32>(cmd, 4 * 9);
  const end = share(R, ith + 1, nth);
  for (let row = share(R, ith, nth); row < end; row++) {
    const at = (row * D) << 2;
    for (let c: u32 = 0; c < D; c += 4) {
      const p = c << 2;
      const left = D - c;
      let y = f32x4.mul(take(x + at + p, left), take(gamma + p, left));
      if (beta !== 0) y = f32x4.add(y, take(beta + p, left));
      put(out + at + p, y, left, accumulate);
    }
  }
}
