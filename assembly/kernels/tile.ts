// The register tile of the matrix product, sums of 4 or 6 rows by 8 columns in registers, in three ways, between which the executor chooses by
// their time (src/executors/tiles.ts). Every element is one sequential sum in each, so the choice changes no bit.

import { TALL_ROWS, TILE_ROWS } from "../layout";
import { madd } from "../madd";

// The ways are types, because a function is compiled anew for each type, without what is for others. Their sizes tell them apart.
/** Six rows, one by one: as many sums as keep two units busy that multiply and add in four cycles. */
export type Tall = u8;
/** Four rows, all of the first four columns before the others. */
export type Columns = u16;
/** Four rows, whose numbers of a are loaded at once and spread by shuffles: for engines that check every load against the memory's end. */
export type Lanes = u32;

export function rowsOf<Way>(): u32 {
  return sizeof<Way>() === sizeof<Tall>() ? TALL_ROWS : TILE_ROWS;
}

/**
 * c[rows, 8] = start + Σ_k a[k, rows]·b[k, 8], k ascending, one sequential sum for each element. a and b are packed; the rows of c are `stride`
 * bytes apart. start: the bias row (start 0), c itself (1), or c + bias (2).
 */
export function tile<Way>(a: usize, b: usize, K: u32, bias: usize, c: usize, stride: usize, start: u32): void {
  const r1 = c + stride;
  const r2 = r1 + stride;
  const r3 = r2 + stride;
  const r4 = r3 + stride;
  const r5 = r4 + stride;
  let b0 = v128.load(bias);
  let b1 = v128.load(bias, 16);
  let four = b0;
  let x = b0;
  let s00 = b0;
  let s01 = b1;
  let s10 = b0;
  let s11 = b1;
  let s20 = b0;
  let s21 = b1;
  let s30 = b0;
  let s31 = b1;
  let s40 = b0;
  let s41 = b1;
  let s50 = b0;
  let s51 = b1;
  if (start !== 0) {
    s00 = v128.load(c);
    s01 = v128.load(c, 16);
    s10 = v128.load(r1);
    s11 = v128.load(r1, 16);
    s20 = v128.load(r2);
    s21 = v128.load(r2, 16);
    s30 = v128.load(r3);
    s31 = v128.load(r3, 16);
    if (sizeof<Way>() === sizeof<Tall>()) {
      s40 = v128.load(r4);
      s41 = v128.load(r4, 16);
      s50 = v128.load(r5);
      s51 = v128.load(r5, 16);
    }
    if (start === 2) {
      s00 = f32x4.add(s00, b0);
      s01 = f32x4.add(s01, b1);
      s10 = f32x4.add(s10, b0);
      s11 = f32x4.add(s11, b1);
      s20 = f32x4.add(s20, b0);
      s21 = f32x4.add(s21, b1);
      s30 = f32x4.add(s30, b0);
      s31 = f32x4.add(s31, b1);
      if (sizeof<Way>() === sizeof<Tall>()) {
        s40 = f32x4.add(s40, b0);
        s41 = f32x4.add(s41, b1);
        s50 = f32x4.add(s50, b0);
        s51 = f32x4.add(s51, b1);
      }
    }
  }
  const end = b + ((<usize>K) << 5);
  while (b < end) {
    b0 = v128.load(b);
    b1 = v128.load(b, 16);
    if (sizeof<Way>() === sizeof<Tall>()) {
      x = v128.load_splat<f32>(a);
      s00 = madd(x, b0, s00);
      s01 = madd(x, b1, s01);
      x = v128.load_splat<f32>(a, 4);
      s10 = madd(x, b0, s10);
      s11 = madd(x, b1, s11);
      x = v128.load_splat<f32>(a, 8);
      s20 = madd(x, b0, s20);
      s21 = madd(x, b1, s21);
      x = v128.load_splat<f32>(a, 12);
      s30 = madd(x, b0, s30);
      s31 = madd(x, b1, s31);
      x = v128.load_splat<f32>(a, 16);
      s40 = madd(x, b0, s40);
      s41 = madd(x, b1, s41);
      x = v128.load_splat<f32>(a, 20);
      s50 = madd(x, b0, s50);
      s51 = madd(x, b1, s51);
    } else if (sizeof<Way>() === sizeof<Columns>()) {
      x = v128.load_splat<f32>(a);
      const y = v128.load_splat<f32>(a, 4);
      const z = v128.load_splat<f32>(a, 8);
      four = v128.load_splat<f32>(a, 12);
      s00 = madd(x, b0, s00);
      s10 = madd(y, b0, s10);
      s20 = madd(z, b0, s20);
      s30 = madd(four, b0, s30);
      s01 = madd(x, b1, s01);
      s11 = madd(y, b1, s11);
      s21 = madd(z, b1, s21);
      s31 = madd(four, b1, s31);
    } else {
      four = v128.load(a);
      x = v128.shuffle<f32>(four, four, 0, 0, 0, 0);
      s00 = madd(x, b0, s00);
      s01 = madd(x, b1, s01);
      x = v128.shuffle<f32>(four, four, 1, 1, 1, 1);
      s10 = madd(x, b0, s10);
      s11 = madd(x, b1, s11);
      x = v128.shuffle<f32>(four, four, 2, 2, 2, 2);
      s20 = madd(x, b0, s20);
      s21 = madd(x, b1, s21);
      x = v128.shuffle<f32>(four, four, 3, 3, 3, 3);
      s30 = madd(x, b0, s30);
      s31 = madd(x, b1, s31);
    }
    a += rowsOf<Way>() << 2;
    b += 32;
  }
  v128.store(c, s00);
  v128.store(c, s01, 16);
  v128.store(r1, s10);
  v128.store(r1, s11, 16);
  v128.store(r2, s20);
  v128.store(r2, s21, 16);
  v128.store(r3, s30);
  v128.store(r3, s31, 16);
  if (sizeof<Way>() === sizeof<Tall>()) {
    v128.store(r4, s40);
    v128.store(r4, s41, 16);
    v128.store(r5, s50);
    v128.store(r5, s51, 16);
  }
}
