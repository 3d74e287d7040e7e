// dz[N, 4H] from dy and the gates' sums z (formulas: src/ops/lstmGrad.ts). Words: 5 dy[N,H], 6 z[N,4H], 7 W[4H,H], 8 offsets u32[B+1],
// 9 N, 10 H, 11 B, 12 reverse. Threads split the units. First every thread makes gates (into dz) and c of its units, forward in time,
// then all go back step by step and meet before each, as dh needs dz of all units of the row after.
// Scratch: c[N, H], f·dc of the row after [B, H rounded up to 4], Wᵀ[H, 4H], then LSTM_ROOM floats a thread.

import { LSTM_ROOM } from "../layout";
import { sigmoid, tanh } from "../math";
import { put, take } from "../rows";
import { barrier } from "../thread";
import { clearTail, firstUnit, longEnough, longest, rowAt, twoByFour } from "./lstmTile";

/** Rows u to u + 3 of Wᵀ: columns of W[4H, H]. */
function transpose(to: usize, W: usize, H: u32, left: u32): void {
  const step = H << 4;
  for (let j: u32 = 0; j < 4 * H; j++) {
    const v = take(W + ((j * H) << 2), left);
    v128.store_lane<u32>(to, v, 0);
    if (left > 1) v128.store_lane<u32>(to + step, v, 1);
    if (left > 2) v128.store_lane<u32>(to + 2 * step, v, 2);
    if (left > 3) v128.store_lane<u32>(to + 3 * step, v, 3);
    to += 4;
  }
}

/** Gates and c of four units over a sequence, in the order of time. */
function states(dz: usize, z: usize, c: usize, b: u32, offsets: usize, reverse: u32, H: u32, u: u32): void {
  const left = min(4, H - u);
  const bytes = H << 2;
  const length = load<u32>(offsets + (b << 2), 4) - load<u32>(offsets + (b << 2));
  let state = f32x4.splat(0);
  for (let s: u32 = 0; s < length; s++) {
    const n = rowAt(b, s, offsets, reverse);
    const from = z + ((4 * n * H + u) << 2);
    const to = dz + ((4 * n * H + u) << 2);
    const i = sigmoid(take(from, left));
    const f = sigmoid(take(from + bytes, left));
    const g = tanh(take(from + 2 * bytes, left));
    put(to, i, left, 0);
    put(to + bytes, f, left, 0);
    put(to + 2 * bytes, g, left, 0);
    put(to + 3 * bytes, sigmoid(take(from + 3 * bytes, left)), left, 0);
    state = f32x4.add(f32x4.mul(f, state), f32x4.mul(i, g));
    put(c + ((n * H + u) << 2), state, left, 0);
  }
}

/**
 * dz of units u to u + 3 in row number s, in time, of sequence b, over their gates. room: their Wᵀ·dz of the row after it, or 0 if it
 * is the last; carry: their f·dc of that row, and then of this one.
 */
function cell(
  dz: usize,
  dy: usize,
  c: usize,
  carry: usize,
  room: usize,
  b: u32,
  s: u32,
  offsets: usize,
  reverse: u32,
  H: u32,
  u: u32,
): void {
  const left = min(4, H - u);
  const bytes = H << 2;
  const n = rowAt(b, s, offsets, reverse);
  carry += (b * ((H + 3) & ~3) + u) << 2;
  const one = f32x4.splat(1);
  dz += (4 * n * H + u) << 2;
  const i = take(dz, left);
  const f = take(dz + bytes, left);
  const g = take(dz + 2 * bytes, left);
  const o = take(dz + 3 * bytes, left);
  const t = tanh(take(c + ((n * H + u) << 2), left));
  let dh = take(dy + ((n * H + u) << 2), left);
  if (room !== 0) dh = f32x4.add(dh, v128.load(room));
  let dc = f32x4.mul(f32x4.mul(dh, o), f32x4.sub(one, f32x4.mul(t, t)));
  if (room !== 0) dc = f32x4.add(dc, v128.load(carry));
  v128.store(carry, f32x4.mul(dc, f));
  let df = f32x4.splat(0);
  if (s !== 0) df = f32x4.mul(dc, take(c + ((rowAt(b, s - 1, offsets, reverse) * H + u) << 2), left));
  put(dz, f32x4.mul(f32x4.mul(dc, g), f32x4.mul(i, f32x4.sub(one, i))), left, 0);
  put(dz + bytes, f32x4.mul(df, f32x4.mul(f, f32x4.sub(one, f))), left, 0);
  put(dz + 2 * bytes, f32x4.mul(f32x4.mul(dc, i), f32x4.sub(one, f32x4.mul(g, g))), left, 0);
  put(dz + 3 * bytes, f32x4.mul(f32x4.mul(dh, t), f32x4.mul(o, f32x4.sub(one, o))), left, 0);
}

export function lstmGrad(cmd: usize, ith: u32, nth: u32, sync: usize): void {
  const dz = load<u32>(cmd, 4 * 3);
  const dy = load<u32>(cmd, 4 * 5);
  const z = load<u32>(cmd, 4 * 6);
  const W = load<u32>(cmd, 4 * 7);
  const offsets = load<u32>(cmd, 4 * 8);
  const N = load<u32>(cmd, 4 * 9);
  const H = load<u32>(cmd, 4 * 10);
  const B = load<u32>(cmd, 4 * 11);
  const reverse = load<u32>(cmd, 4 * 12);
  const bytes = H << 2;
  const c = load<u32>(cmd, 4 * 2);
  const carry = c + N * bytes;
  const transposed = carry + B * (((H + 3) & ~3) << 2);
  const room = transposed + 4 * H * bytes + ith * 4 * LSTM_ROOM;
  const first = firstUnit(H, ith, nth);
  const end = firstUnit(H, ith + 1, nth);
  clearTail(dz, 4 * bytes, N, offsets, B, ith, nth);
  for (let u = first; u < end; u += 4) {
    transpose(transposed + 4 * u * bytes, W + (u << 2), H, min(4, H - u));
    for (let b: u32 = 0; b < B; b++) states(dz, z, c, b, offsets, reverse, H, u);
  }
  for (let s = longest(offsets, B); s-- !== 0; ) {
    for (let u = first; u < end; u += 4) {
      const units = transposed + 4 * u * bytes;
      let b = longEnough(0, s + 1, offsets, B);
      for (; b < B; b = longEnough(b + 1, s + 1, offsets, B)) {
        const ends = longEnough(b, s + 2, offsets, b + 1) !== b;
        if (ends) cell(dz, dy, c, carry, 0, b, s, offsets, reverse, H, u);
      }
      b = longEnough(0, s + 2, offsets, B);
      while (b < B) {
        const next = longEnough(b + 1, s + 2, offsets, B);
        const after = dz + 4 * rowAt(b, s + 1, offsets, reverse) * bytes;
        const other = next === B ? after : dz + 4 * rowAt(next, s + 1, offsets, reverse) * bytes;
        twoByFour(room, after, other, units, 4 * bytes, min(4, H - u), 4 * H);
        cell(dz, dy, c, carry, room, b, s, offsets, reverse, H, u);
        if (next !== B) cell(dz, dy, c, carry, room + 16, next, s, offsets, reverse, H, u);
        b = longEnough(next + 1, s + 2, offsets, B);
      }
    }
    if (s !== 0) barrier(sync, nth);
  }
}
