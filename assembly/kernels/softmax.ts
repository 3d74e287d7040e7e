// softmax(x/T) over the first `length` entries of each row, the rest 0; length is that of the row's sequence, or L without offsets.
//   y = e^((x − max x)/T)/Σ e^((x − max x)/T)          dx = y·(dy − Σ dy·y)/T
// T = 1 without a temperature. A token row n holds H rows of L entries; rows past the last sequence have length 0.
// bySequence: row n is that of sequence n.
// softmax      words: 5 x[R,H,L], 6 offsets u32[B+1] or 0, 7 temperature[1] or 0, 8 R, 9 H, 10 L, 11 B (0 without offsets), 12 bySequence
// softmaxGrad  words: 5 dy[R,H,L], 6 y[R,H,L], 7 offsets or 0, 8 temperature or 0, 9 R, 10 H, 11 L, 12 B, 13 bySequence

import { clearRest, lengthOf, sequenceOf } from "../ragged";
import { dot, keep, largest, put, shiftedExp, take, total } from "../rows";
import { share } from "../thread";

/** 1/T. */
function inverseOf(temperature: usize): f32 {
  return temperature === 0 ? 1 : <f32>1 / load<f32>(temperature);
}

function softmaxRow(out: usize, x: usize, length: u32, factor: f32, accumulate: u32): void {
  const shift = largest(x, length);
  let sum = f32x4.splat(0);
  for (let j: u32 = 0; j < length; j += 4) {
    const left = length - j;
    const e = keep(shiftedExp(take(x + (j << 2), left), shift, factor), left);
    if (!accumulate) put(out + (j << 2), e, left, 0);
    sum = f32x4.add(sum, e);
  }
  const whole = f32x4.splat(total(sum));
  for (let j: u32 = 0; j < length; j += 4) {
    const left = length - j;
    const e = accumulate ? shiftedExp(take(x + (j << 2), left), shift, factor) : take(out + (j << 2), left);
    put(out + (j << 2), f32x4.div(e, whole), left, accumulate);
  }
}

function softmaxGradRow(out: usize, dy: usize, y: usize, length: u32, factor: f32, accumulate: u32): void {
  const inner = f32x4.splat(dot(dy, y, length));
  for (let j: u32 = 0; j < length; j += 4) {
    const left = length - j;
    const centred = f32x4.sub(take(dy + (j << 2), left), inner);
    const dx = f32x4.mul(f32x4.mul(take(y + (j << 2), left), centred), f32x4.splat(factor));
    put(out + (j << 2), dx, left, accumulate);
  }
}

export function softmax(cmd: usize, ith: u32, nth: u32): void {
  const accumulate = load<u32>(cmd, 4 * 4);
  let out: usize = load<u32>(cmd, 4 * 3);
  let x: usize = load<u32>(cmd, 4 * 5);
  const offsets = load<u32>(cmd, 4 * 6);
  const factor = inverseOf(load<u32>(cmd, 4 * 7));
  const R = load<u32>(cmd, 4 * 8);
  const H = load<u32>(cmd, 4 * 9);
  const L = load<u32>(cmd, 4 * 10);
  const B = load<u32>(cmd, 4 * 11);
  const bySequence = load<u32>(cmd, 4 * 12) !== 0;
  const first = share(R, ith, nth);
  const end = share(R, ith + 1, nth);
  x += (first * H * L) << 2;
  out += (first * H * L) << 2;
  let b: u32 = 0;
  for (let n = first; n < end; n++) {
    if (bySequence) b = n;
    else if (offsets !== 0) b = sequenceOf(n, offsets, B, b);
    const length = lengthOf(b, offsets, B, L);
    for (let h: u32 = 0; h < H; h++) {
      softmaxRow(out, x, length, factor, accumulate);
      clearRest(out, length, L, accumulate);
      x += L << 2;
      out += L << 2;
    }
  }
}

export function softmaxGrad(cmd: usize, ith: u32, nth: u32): void {
  const accumulate = load<u32>(cmd, 4 * 4);
  let out: usize = load<u32>(cmd, 4 * 3);
  let dy: usize = load<u32>(cmd, 4 * 5);
  let y: usize = load<u32>(cmd, 4 * 6);
  const offsets = load<u32>(cmd, 4 * 7);
  const factor = inverseOf(load<u32>(cmd, 4 * 8));
  const R = load<u32>(cmd, 4 * 9);
  const H = load<u32>(cmd, 4 * 10);
  const L = load<u32>(cmd, 4 * 11);
  const B = load<u32>(cmd, 4 * 12);
  const bySequence = load<u32>(cmd, 4 * 13) !== 0;
  const first = share(R, ith, nth);
  const end = share(R, ith + 1, nth);
  dy += (first * H * L) << 2;
  y += (first * H * L) << 2;
  out += (first * H * L) << 2;
  let b: u32 = 0;
  for (let n = first; n < end; n++) {
    if (bySequence) b = n;
    else if (offsets !== 0) b = sequenceOf(n, offsets, B, b);
    const length = lengthOf(b, offsets, B, L);
    for (let h: u32 = 0; h < H; h++) {
      softmaxGradRow(out, dy, y, length, factor, accumulate);
      clearRest(out, length, L, accumulate);
      dy += L << 2;
      y += L << 2;
      out += L << 2;
    }
  }
}
