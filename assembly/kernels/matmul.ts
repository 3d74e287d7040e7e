// C[M, N] (+)= op(a)·op(b)·scale[1] + bias[N]. Words: a, b, bias?, scale? | M, N, K, transposeA, transposeB. transposeB 2: b was packed before
// (packWeight).
// Every element is one sequential sum: it starts from the bias (plus the old C when accumulating) and adds a[m, k]·b[k, n] for k = 0, 1, …;
// between blocks of K the sum rests in C, so no block size, tile or thread changes a bit.
// Blocking after Goto and van de Geijn 2008 ("Anatomy of High-Performance Matrix Multiplication"): a panel of b stays in the first cache,
// a block of a in the second. Each thread multiplies its own rectangle of C and packs for itself: MATMUL_SCRATCH bytes a thread.

import {
  BLOCK_COLUMNS,
  BLOCK_DEPTH,
  BLOCK_ROWS,
  MATMUL_SCRATCH,
  SYNC_TILE,
  TILE_COLUMNS,
  TILE_ROWS,
  TILES,
  Tile,
} from "../layout";
import { share } from "../thread";
import { block } from "./block";
import { packColumns, packRows } from "./pack";
// biome-ignore lint/style/useImportType: AssemblyScript has no import type
import { Columns, Lanes, Rows } from "./tile";

export function matmul(cmd: usize, ith: u32, nth: u32, sync: usize): void {
  const M = load<u32>(cmd, 36);
  const N = load<u32>(cmd, 40);
  const bands = threadRows(M, N, nth);
  const strips = nth / bands;
  const rows = (M + TILE_ROWS - 1) / TILE_ROWS;
  const columns = (N + TILE_COLUMNS - 1) / TILE_COLUMNS;
  const band = ith / strips;
  const strip = ith % strips;
  const m0 = share(rows, band, bands) * TILE_ROWS;
  const m1 = min(M, share(rows, band + 1, bands) * TILE_ROWS);
  const n0 = share(columns, strip, strips) * TILE_COLUMNS;
  const n1 = min(N, share(columns, strip + 1, strips) * TILE_COLUMNS);
  const scratch = <usize>load<u32>(cmd, 8) + <usize>ith * MATMUL_SCRATCH;
  if (m0 < m1 && n0 < n1) rectangle(cmd, scratch, load<u32>(sync, SYNC_TILE), m0, m1, n0, n1);
}

/** In how many bands of rows to cut C (the rest of `nth` cuts columns): the largest share and what must be packed for it decide. */
function threadRows(M: u32, N: u32, nth: u32): u32 {
  let best: u32 = 1;
  let least: u64 = u64.MAX_VALUE;
  for (let bands: u32 = 1; bands <= nth; bands++) {
    if (nth % bands !== 0) continue;
    const rows = TILE_ROWS * <u64>ceilDiv(ceilDiv(M, TILE_ROWS), bands);
    const columns = TILE_COLUMNS * <u64>ceilDiv(ceilDiv(N, TILE_COLUMNS), nth / bands);
    const work = rows * columns + 6 * (rows + columns);
    if (work < least) {
      least = work;
      best = bands;
    }
  }
  return best;
}

function ceilDiv(a: u32, b: u32): u32 {
  return (a + b - 1) / b;
}

function rectangle(cmd: usize, scratch: usize, kind: u32, m0: u32, m1: u32, n0: u32, n1: u32): void {
  const C = <usize>load<u32>(cmd, 12);
  const accumulate = load<u32>(cmd, 16);
  const a = <usize>load<u32>(cmd, 20);
  const b = <usize>load<u32>(cmd, 24);
  const bias = <usize>load<u32>(cmd, 28);
  const scale = <usize>load<u32>(cmd, 32);
  const M = load<u32>(cmd, 36);
  const N = load<u32>(cmd, 40);
  const K = load<u32>(cmd, 44);
  const transposeA = load<u32>(cmd, 48) !== 0;
  const transposeB = load<u32>(cmd, 52) !== 0;
  const isPacked = load<u32>(cmd, 52) === 2;
  const whole = ceilDiv(N, TILE_COLUMNS) * TILE_COLUMNS;
  // Bytes from one row (column) of the panel to the next, and from one k to the next.
  const outerA: usize = transposeA ? 4 : (<usize>K) << 2;
  const innerA: usize = transposeA ? (<usize>M) << 2 : 4;
  const outerB: usize = transposeB ? (<usize>K) << 2 : 4;
  const innerB: usize = transposeB ? 4 : (<usize>N) << 2;
  const packedB = scratch + 4 * BLOCK_ROWS * BLOCK_DEPTH;
  const biasRow = packedB + 4 * BLOCK_COLUMNS * BLOCK_DEPTH;
  const edge = biasRow + 4 * BLOCK_COLUMNS;

  for (let n = n0; n < n1; n += BLOCK_COLUMNS) {
    const columns = min(BLOCK_COLUMNS, n1 - n);
    const width = ceilDiv(columns, TILE_COLUMNS) * TILE_COLUMNS;
    memory.fill(biasRow, 0, (<usize>width) << 2);
    if (bias !== 0) memory.copy(biasRow, bias + ((<usize>n) << 2), (<usize>columns) << 2);
    let start = accumulate === 0 ? 0 : bias === 0 ? 1 : 2;
    let k: u32 = 0;
    do {
      const depth = min(BLOCK_DEPTH, K - k);
      let panels = packedB;
      if (isPacked) panels = b + ((<usize>whole * k + <usize>n * depth) << 2);
      else packColumns(packedB, b + <usize>n * outerB + <usize>k * innerB, outerB, innerB, columns, depth);
      for (let m = m0; m < m1; m += BLOCK_ROWS) {
        const rows = min(BLOCK_ROWS, m1 - m);
        packRows(scratch, a + <usize>m * outerA + <usize>k * innerA, outerA, innerA, rows, depth);
        // A power of two: no bit differs from one that comes after the sum.
        if (scale !== 0) times(scratch, load<f32>(scale, 4), ceilDiv(rows, TILE_ROWS) * TILE_ROWS * depth);
        const c = C + ((<usize>m * N + n) << 2);
        const way = kind !== Tile.each ? kind : 1 + (((<u32>cmd >> 3) + m / BLOCK_ROWS) % TILES);
        if (way === Tile.columns) block<Columns>(scratch, panels, biasRow, edge, c, N, rows, columns, depth, start);
        else if (way === Tile.lanes) block<Lanes>(scratch, panels, biasRow, edge, c, N, rows, columns, depth, start);
        else block<Rows>(scratch, panels, biasRow, edge, c, N, rows, columns, depth, start);
      }
      start = 1;
      k += BLOCK_DEPTH;
    } while (k < K);
  }
}

function times(p: usize, factor: f32, n: u32): void {
  const by = f32x4.splat(factor);
  for (; n !== 0; n -= 4) {
    v128.store(p, f32x4.mul(v128.load(p), by));
    p += 16;
  }
}
