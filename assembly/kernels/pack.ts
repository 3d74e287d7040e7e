// Packing for the matrix product: a block of an operand is copied into panels as wide as a register tile, [panel][k][width], so that the
// innermost loop reads both operands in order. Transposed operands are transposed here and nowhere else. The last panel is filled with zeros.

import { BLOCK_DEPTH, TILE_COLUMNS, TILE_ROWS } from "../layout";

/** Packs panels of a [count, depth] whose element (i, k) lies at from + i·outer + k·inner bytes; one of both strides is 4. */
export function packRows(to: usize, from: usize, outer: usize, inner: usize, count: u32, depth: u32): void {
  let i: u32 = 0;
  for (; i + TILE_ROWS <= count; i += TILE_ROWS) {
    if (inner === 4) transpose4(to, from, outer, depth, 4 * TILE_ROWS);
    else copy4(to, from, inner, depth);
    to += (<usize>depth * TILE_ROWS) << 2;
    from += outer * TILE_ROWS;
  }
  if (i < count) packEdge(to, from, outer, inner, count - i, depth, TILE_ROWS);
}

/** The same for panels of TILE_COLUMNS: element (k, j) lies at from + j·outer + k·inner. */
export function packColumns(to: usize, from: usize, outer: usize, inner: usize, count: u32, depth: u32): void {
  let j: u32 = 0;
  for (; j + TILE_COLUMNS <= count; j += TILE_COLUMNS) {
    if (inner === 4) {
      transpose4(to, from, outer, depth, 4 * TILE_COLUMNS);
      transpose4(to + 16, from + (outer << 2), outer, depth, 4 * TILE_COLUMNS);
    } else copy8(to, from, inner, depth);
    to += (<usize>depth * TILE_COLUMNS) << 2;
    from += outer * TILE_COLUMNS;
  }
  if (j < count) packEdge(to, from, outer, inner, count - j, depth, TILE_COLUMNS);
}

/**
 * The whole of a transposed second operand, [N, K]: what packColumns makes of each block of BLOCK_DEPTH, one behind the other, so that the
 * panels of columns n and following, of the block that begins at k, lie 4·(⌈N⌉·k + n·depth) bytes from the start (⌈N⌉: whole panels).
 */
export function packWeight(to: usize, from: usize, N: u32, K: u32): void {
  const whole = ((N + TILE_COLUMNS - 1) / TILE_COLUMNS) * TILE_COLUMNS;
  for (let k: u32 = 0; k < K; k += BLOCK_DEPTH) {
    const depth = min(BLOCK_DEPTH, K - k);
    packColumns(to, from + ((<usize>k) << 2), (<usize>K) << 2, 4, N, depth);
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

function copy4(to: usize, from: usize, inner: usize, depth: u32): void {
  for (let k: u32 = 0; k < depth; k++) {
    v128.store(to, v128.load(from));
    to += 16;
    from += inner;
  }
}

function copy8(to: usize, from: usize, inner: usize, depth: u32): void {
  for (let k: u32 = 0; k < depth; k++) {
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
    to += 32;
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
