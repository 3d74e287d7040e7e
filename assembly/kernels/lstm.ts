// h of every row from the input's share of the gates (formulas: src/ops/lstm.ts). Words: 5 x[N,4H], 6 W[4H,H], 7 offsets u32[B+1], 8 N,
// 9 H, 10 B, 11 reverse. Threads split the units and meet after each time step, for which W is read once: all sequences take a step
// together, two at a time for each four units. Rows of W are read as they lie, so nothing is packed.
// Scratch: c[B, H rounded up to 4], then LSTM_ROOM floats a thread: for each gate the products of two rows with four units.

import { LSTM_ROOM } from "../layout";
import { sigmoid, tanh } from "../math";
import { put, take } from "../rows";
import { barrier } from "../thread";
import { clearTail, firstUnit, longEnough, longest, oneByEight, rowAt, twoByFour } from "./lstmTile";

/** Units u to u + 3 of one row: their products with h at `room` (0 stands for none, at a sequence's first row), then c and h. */
function cell(x: usize, c: usize, h: usize, room: usize, bytes: u32, left: u32): void {
  let i = take(x, left);
  let f = take(x + bytes, left);
  let g = take(x + 2 * bytes, left);
  let o = take(x + 3 * bytes, left);
  if (room !== 0) {
    i = f32x4.add(i, v128.load(room));
    f = f32x4.add(f, v128.load(room, 32));
    g = f32x4.add(g, v128.load(room, 64));
    o = f32x4.add(o, v128.load(room, 96));
  }
  let state = f32x4.mul(sigmoid(i), tanh(g));
  if (room !== 0) state = f32x4.add(f32x4.mul(sigmoid(f), v128.load(c)), state);
  v128.store(c, state);
  put(h, f32x4.mul(sigmoid(o), tanh(state)), left, 0);
}

export function lstm(cmd: usize, ith: u32, nth: u32, sync: usize): void {
  const out = load<u32>(cmd, 4 * 3);
  const x = load<u32>(cmd, 4 * 5);
  const W = load<u32>(cmd, 4 * 6);
  const offsets = load<u32>(cmd, 4 * 7);
  const N = load<u32>(cmd, 4 * 8);
  const H = load<u32>(cmd, 4 * 9);
  const B = load<u32>(cmd, 4 * 10);
  const reverse = load<u32>(cmd, 4 * 11);
  const bytes = H << 2;
  const cBytes = ((H + 3) & ~3) << 2;
  const cells = load<u32>(cmd, 4 * 2);
  const room = cells + B * cBytes + ith * 4 * LSTM_ROOM;
  const end = firstUnit(H, ith + 1, nth);
  const steps = longest(offsets, B);
  clearTail(out, bytes, N, offsets, B, ith, nth);
  for (let s: u32 = 0; s < steps; s++) {
    if (s !== 0) barrier(sync, nth);
    for (let u = firstUnit(H, ith, nth); u < end; u += 4) {
      const left = min(4, H - u);
      const units = W + u * bytes;
      let b = longEnough(0, s + 1, offsets, B);
      while (b < B) {
        const n = rowAt(b, s, offsets, reverse);
        const c = cells + b * cBytes + (u << 2);
        if (s === 0) {
          cell(x + ((4 * n * H + u) << 2), c, out + ((n * H + u) << 2), 0, bytes, left);
          b = longEnough(b + 1, 1, offsets, B);
          continue;
        }
        const h = out + rowAt(b, s - 1, offsets, reverse) * bytes;
        const next = longEnough(b + 1, s + 1, offsets, B);
        if (next === B) {
          oneByEight(room, h, units, units + H * bytes, bytes, left, H);
          oneByEight(room + 64, h, units + 2 * H * bytes, units + 3 * H * bytes, bytes, left, H);
        } else {
          const second = out + rowAt(next, s - 1, offsets, reverse) * bytes;
          for (let gate: u32 = 0; gate < 4; gate++)
            twoByFour(room + (gate << 5), h, second, units + gate * H * bytes, bytes, left, H);
          const m = rowAt(next, s, offsets, reverse);
          const to = out + ((m * H + u) << 2);
          cell(x + ((4 * m * H + u) << 2), cells + next * cBytes + (u << 2), to, room + 16, bytes, left);
        }
        cell(x + ((4 * n * H + u) << 2), c, out + ((n * H + u) << 2), room, bytes, left);
        b = longEnough(next + 1, s + 1, offsets, B);
      }
    }
  }
}
