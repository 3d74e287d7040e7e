// Dropout as a function of (seed, step, site, index): out = keep ? x·scale : 0, keep ⇔ bits ≥ threshold (unsigned), scale = 1/(1 − rate).
// The bits of element i are word i&1 of threefry2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"),
// key (seed, step), counter (site, i>>1). The gradient is the same op on dy: nothing is stored.
// With rows, element c of x's row r has the index rows[r]·D + c; a row of NONE becomes zero.
// words: 5 x[R,D], 6 seed u32[2] (seed, step), 7 rows[R]?, 8 R, 9 D, 10 site, 11 threshold, 12 scale (f32)

import { NONE, put, putOne, shareElements } from "../rows";
import { share } from "../thread";

const KEY_PARITY: u32 = 0x1bd11bda;

function rotate(x: v128, bits: i32): v128 {
  return v128.or(i32x4.shl(x, bits), i32x4.shr_u(x, 32 - bits));
}

function keep(bits: v128, threshold: v128, x: v128, scale: v128): v128 {
  return v128.and(f32x4.mul(x, scale), i32x4.ge_u(bits, threshold));
}

/** The bits of element i. */
function bitsOf(seed: usize, site: u32, i: u32): u32 {
  let k0 = load<u32>(seed);
  let k1 = load<u32>(seed, 4);
  let k2 = k0 ^ k1 ^ KEY_PARITY;
  let a = site + k0;
  let b = (i >> 1) + k1;
  for (let group: u32 = 1; group <= 5; group++) {
    // How far the four rounds turn, a byte each.
    const turns: u32 = group & 1 ? 0x061a0f0d : 0x18101d11;
    for (let round: u32 = 0; round < 32; round += 8) {
      a += b;
      b = rotl(b, (turns >> round) & 31) ^ a;
    }
    a += k1;
    b += k2 + group;
    const next = k0;
    k0 = k1;
    k1 = k2;
    k2 = next;
  }
  return i & 1 ? b : a;
}

function someRows(cmd: usize, rows: usize, ith: u32, nth: u32): void {
  const out = <usize>load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const x = <usize>load<u32>(cmd, 4 * 5);
  const seed = <usize>load<u32>(cmd, 4 * 6);
  const R = load<u32>(cmd, 4 * 8);
  const D = load<u32>(cmd, 4 * 9);
  const site = load<u32>(cmd, 4 * 10);
  const threshold = load<u32>(cmd, 4 * 11);
  const scale = load<f32>(cmd, 4 * 12);
  const end = share(R, ith + 1, nth);
  for (let r = share(R, ith, nth); r < end; r++) {
    const row = load<u32>(rows + ((<usize>r) << 2));
    for (let c: u32 = 0; c < D; c++) {
      const p = (<usize>r * D + c) << 2;
      const kept = row !== NONE && bitsOf(seed, site, row * D + c) >= threshold;
      putOne(out + p, kept ? load<f32>(x + p) * scale : 0, accumulate);
    }
  }
}

export function dropout(cmd: usize, ith: u32, nth: u32): void {
  const rows = <usize>load<u32>(cmd, 4 * 7);
  if (rows !== 0) {
    someRows(cmd, rows, ith, nth);
    return;
  }
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const x = load<u32>(cmd, 4 * 5);
  const seed = load<u32>(cmd, 4 * 6);
  const n = load<u32>(cmd, 4 * 8) * load<u32>(cmd, 4 * 9);
  const site = i32x4.splat(load<i32>(cmd, 4 * 10));
  const threshold = v128.load32_splat(cmd, 4 * 11);
  const scale = v128.load32_splat(cmd, 4 * 12);
  const key0 = v128.load32_splat(seed);
  const key1 = v128.load32_splat(seed, 4);
  const key2 = v128.xor(v128.xor(key0, key1), i32x4.splat(KEY_PARITY));
  const first0 = i32x4.add(site, key0);
  const end = shareElements(n, ith + 1, nth);
  for (let i = shareElements(n, ith, nth); i < end; i += 8) {
    // Four counters at once; each gives the bits of two neighbouring elements.
    let a = first0;
    let b = i32x4.add(i32x4.add(i32x4.splat(i >> 1), i32x4(0, 1, 2, 3)), key1);
    let k1 = key1;
    let k2 = key2;
    let k0 = key0;
    for (let group: i32 = 1; group <= 5; group++) {
      if (group & 1) {
        a = i32x4.add(a, b);
        b = v128.xor(rotate(b, 13), a);
        a = i32x4.add(a, b);
        b = v128.xor(rotate(b, 15), a);
        a = i32x4.add(a, b);
        b = v128.xor(rotate(b, 26), a);
        a = i32x4.add(a, b);
        b = v128.xor(rotate(b, 6), a);
      } else {
        a = i32x4.add(a, b);
        b = v128.xor(rotate(b, 17), a);
        a = i32x4.add(a, b);
        b = v128.xor(rotate(b, 29), a);
        a = i32x4.add(a, b);
        b = v128.xor(rotate(b, 16), a);
        a = i32x4.add(a, b);
        b = v128.xor(rotate(b, 24), a);
      }
      a = i32x4.add(a, k1);
      b = i32x4.add(i32x4.add(b, k2), i32x4.splat(group));
      const next = k0;
      k0 = k1;
      k1 = k2;
      k2 = next;
    }
    const p = i << 2;
    const bits = v128.shuffle<u32>(a, b, 0, 4, 1, 5);
    put(out + p, keep(bits, threshold, v128.load(x + p), scale), n - i, accumulate);
    if (n - i > 4) {
      const more = v128.shuffle<u32>(a, b, 2, 6, 3, 7);
      put(out + p + 16, keep(more, threshold, v128.load(x + p + 16), scale), n - i - 4, accumulate);
    }
  }
}
