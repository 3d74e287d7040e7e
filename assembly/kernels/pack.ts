// Packing for the matrix product: a block of an operand is copied into panels as wide as a register tile, [panel][k][width], so that the
// innermost loop reads both operands in order. Transposed operands are transposed here and nowhere else. The last panel is filled with zeros.

import { BLOCK_DEPTH, TILE_COLUMNS } from "../layout";

/**
 * Panels of `width` (4, 6 or 8) of a [count, depth] whose element (i, k) lies at from + i·outer + k·inner bytes; one of both strides is 4.
 * A wide panel is written as its first four and its last four columns.
 */
export function pack(to: usize, from: usize, outer: usize, inner: usize, count: u32, depth: u32, width: u32): void {
  const step = (<usize>width) << 2;
  let i: u32 = 0;
  for (; i + width <= count; i += width) {
    if (inner === 4) {
      transpose4(to, from, outer, depth, step);
      if (width !== 4) transpose4(to + step - 16, from + outer * (width - 4), outer, depth, step);
    } else copy(to, from, inner, depth, step);
    to += depth * step;
    from += outer * width;
  }
  if (i < count) packEdge(to, from, outer, inner, count - i, depth, width);
}

/**
 * The whole of a transposed second operand, [N, K]: what `pack` makes of each block of BLOCK_DEPTH, one behind the other, so that the
 * panels of columns n and following, of the block that begins at k, lie 4·(⌈N⌉·k + n·depth) bytes from the start (⌈N⌉: whole panels).
 */
export function packWeight(to: usize, from: usize, N: u32, K: u32): void {
  const whole = ((N + TILE_COLUMNS - 1) / TILE_COLUMNS) * TILE_COLUMNS;
  for (let k: u32 = 0; k < K; k += BLOCK_DEPTH) {
    const depth = min(BLOCK_DEPTH, K - k);
    pack(to, from + ((<usize>k) << 2), (<usize>K) << 2, 4, N, depth, TILE_COLUMNS);
    to += (<usize>whole * depth) << 2;
  }
}

function packEdge(to: usize, from: usize, outer: usize, inner: usize, count: u32, depth: u32, width: u32): void {
  for (let k: u32 = 0; k < depth; k++) {
    let at = from;
    for (let i: u32 = 0; i < width; i++) {
      store<f32>(to, i < count ? load<f32>(at) : 0);
      at += outer;
      to += 4;
    }
    from += inner;
  }
}

function copy(to: usize, from: usize, inner: usize, depth: u32, step: usize): void {
  const last = step - 16;
  for (let k: u32 = 0; k < depth; k++) {
    v128.store(to, v128.load(from));
    v128.store(to + last, v128.load(from + last));
    to += step;
    from += inner;
  }
}

/** Four rows of `from` become four columns of `to`, whose rows are `step` bytes apart. */
function transpose4(to: usize, from: usize, outer: usize, depth: u32, step: usize): void {
  let p0 = from;
  let p1 = p0 + outer;
  let p2 = p1 + outer;
  let p3 = p2 + outer;
  const end = depth & ~3;
  let k: u32 = 0;
  for (; k < end; k += 4) {
    const a = v128.load(p0);
    const b = v128.load(p1);
    const c = v128.load(p2);
    const d = v128.load(p3);
    const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
    const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
    const AB = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
    const CD = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
    v128.store(to, v128.shuffle<f64>(ab, cd, 0, 2));
    to += step;
    v128.store(to, v128.shuffle<f64>(ab, cd, 1, 3));
    to += step;
    v128.store(to, v128.shuffle<f64>(AB, CD, 0, 2));
    to += step;
    v128.store(to, v128.shuffle<f64>(AB, CD, 1, 3));
    to += step;
    p0 += 16;
    p1 += 16;
    p2 += 16;
    p3 += 16;
  }
  for (; k < depth; k++) {
    store<f32>(to, load<f32>(p0));
    store<f32>(to, load<f32>(p1), 4);
    store<f32>(to, load<f32>(p2), 8);
    store<f32>(to, load<f32>(p3), 12);
    to += step;
    p0 += 4;
    p1 += 4;
    p2 += 4;
    p3 += 4;
  }
}
