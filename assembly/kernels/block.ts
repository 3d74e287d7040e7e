// A block of the matrix product, tile by tile. At the right and the lower edge tiles are computed whole, aside, and what is there is copied.

import { TILE_COLUMNS } from "../layout";
import { rowsOf, tile } from "./tile";

/** C[rows, columns] from packed a [rows, depth] and packed b [depth, columns]; rows of C are N floats apart. */
export function block<Way>(
  a: usize,
  b: usize,
  bias: usize,
  edge: usize,
  C: usize,
  N: u32,
  rows: u32,
  columns: u32,
  depth: u32,
  start: u32,
): void {
  const stride = (<usize>N) << 2;
  const high = rowsOf<Way>();
  const panelA = (<usize>depth * high) << 2;
  const panelB = (<usize>depth * TILE_COLUMNS) << 2;
  for (let j: u32 = 0; j < columns; j += TILE_COLUMNS) {
    let pa = a;
    let c = C + ((<usize>j) << 2);
    for (let i: u32 = 0; i < rows; i += high) {
      if (i + high <= rows && j + TILE_COLUMNS <= columns) {
        tile<Way>(pa, b, depth, bias, c, stride, start);
      } else {
        const h = min(high, rows - i);
        const w = min(TILE_COLUMNS, columns - j);
        if (start !== 0) move(edge, 4 * TILE_COLUMNS, c, stride, h, w);
        tile<Way>(pa, b, depth, bias, edge, 4 * TILE_COLUMNS, start);
        move(c, stride, edge, 4 * TILE_COLUMNS, h, w);
      }
      pa += panelA;
      c += stride * high;
    }
    b += panelB;
    bias += 4 * TILE_COLUMNS;
  }
}

function move(to: usize, toStride: usize, from: usize, fromStride: usize, rows: u32, columns: u32): void {
  for (let i: u32 = 0; i < rows; i++) {
    for (let j: u32 = 0; j < columns; j++) store<f32>(to + ((<usize>j) << 2), load<f32>(from + ((<usize>j) << 2)));
    to += toStride;
    from += fromStride;
  }
}
