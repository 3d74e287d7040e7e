// C[M, N] (+)= op(a)·op(b)·scale[1] + bias[N]. Words: a, b, bias?, scale? | M, N, K, transposeA, transposeB. transposeB 2: b was packed before
// (packWeight).
// Every element is one sequential sum: it starts from the bias (plus the old C when accumulating) and adds a[m, k]·b[k, n] for k = 0, 1, …;
// between blocks of K the sum rests in C, so no block size, tile or thread changes a bit.
// Blocking after Goto and van de Geijn 2008 ("Anatomy of High-Performance Matrix Multiplication"): a panel of b stays in the first cache,
// a block of a in the second. Threads claim parts of C one by one and pack for themselves: MATMUL_SCRATCH bytes a thread.

import {
  BLOCK_COLUMNS,
  BLOCK_DEPTH,
  BLOCK_ROWS,
  MATMUL_SCRATCH,
  SYNC_TILE,
  TALL_ROWS,
  TILE_COLUMNS,
  TILE_ROWS,
  TILES,
  Tile,
} from "../layout";
import { claim, share } from "../thread";
import { block } from "./block";
import { pack } from "./pack";
// biome-ignore lint/style/useImportType: AssemblyScript has no import type
import { Columns, Lanes, Tall } from "./tile";

/** Of a strip; those that a thread has claimed are a set of bits. */
const MOST_BANDS: u32 = 64;
/** Columns of which packing a anew is 2 % of the work. */
const STRIP: u32 = 256;

export function matmul(cmd: usize, ith: u32, nth: u32, sync: usize): void {
  const M = load<u32>(cmd, 36);
  const N = load<u32>(cmd, 40);
  // Each thread packs what it multiplies, so several cut the longer side: into equal parts, as many for each.
  let bands = min(MOST_BANDS, roundUp(ceilDiv(M, BLOCK_ROWS), nth));
  let width: u32 = BLOCK_COLUMNS;
  if (nth !== 1 && M < N) {
    bands = 1;
    width = min(width, roundUp(ceilDiv(N, nth * max(1, N / (STRIP * nth))), TILE_COLUMNS));
  }
  product(cmd, ith, nth, sync, bands, width);
}

function ceilDiv(a: u32, b: u32): u32 {
  return (a + b - 1) / b;
}

function roundUp(a: u32, b: u32): u32 {
  return ceilDiv(a, b) * b;
}

/** Of few rows a tall tile would compute too many. */
function chosen(tile: u32, M: u32): u32 {
  return tile === Tile.tall && roundUp(M, TALL_ROWS) > M + M / 16 ? Tile.columns : tile;
}

/**
 * C in strips of `width` columns, and these in `bands` of rows. Of each strip a thread claims bands while there are any and adds up their first
 * block of terms, then the other blocks of those that it got: b is packed once for all of them.
 */
function product(cmd: usize, ith: u32, nth: u32, sync: usize, bands: u32, width: u32): void {
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
  const whole = roundUp(N, TILE_COLUMNS);
  // Bytes from one row (column) of the panel to the next, and from one k to the next.
  const outerA: usize = transposeA ? 4 : (<usize>K) << 2;
  const innerA: usize = transposeA ? (<usize>M) << 2 : 4;
  const outerB: usize = transposeB ? (<usize>K) << 2 : 4;
  const innerB: usize = transposeB ? 4 : (<usize>N) << 2;
  const scratch = <usize>load<u32>(cmd, 8) + <usize>ith * MATMUL_SCRATCH;
  const packedB = scratch + 4 * BLOCK_ROWS * BLOCK_DEPTH;
  const biasRow = packedB + 4 * BLOCK_COLUMNS * BLOCK_DEPTH;
  const edge = biasRow + 4 * BLOCK_COLUMNS;
  const kind = chosen(load<u32>(sync, SYNC_TILE), M);
  // Bands are of whole tiles; where tiles change, of what is whole for each.
  const unit = kind === Tile.tall ? TALL_ROWS : kind === Tile.each ? 2 * TALL_ROWS : TILE_ROWS;
  const tiles = ceilDiv(M, unit);
  let packed: usize = 0;
  let item = claim(sync, nth, -1);
  let end: u32 = 0;

  for (let n: u32 = 0; n < N; n += width) {
    const first = end;
    end += bands;
    if (item >= end) continue;
    const columns = min(width, N - n);
    memory.fill(biasRow, 0, 4 * BLOCK_COLUMNS);
    if (bias !== 0) memory.copy(biasRow, bias + ((<usize>n) << 2), (<usize>columns) << 2);
    let start = accumulate === 0 ? 0 : bias === 0 ? 1 : 2;
    let claimed: u64 = 0;
    let k: u32 = 0;
    do {
      const depth = min(BLOCK_DEPTH, K - k);
      let panels = packedB;
      if (isPacked) panels = b + ((<usize>whole * k + <usize>n * depth) << 2);
      else pack(packedB, b + <usize>n * outerB + <usize>k * innerB, outerB, innerB, columns, depth, TILE_COLUMNS);
      for (let left = claimed; k === 0 ? item < end : left !== 0; left &= left - 1) {
        const band = k === 0 ? item - first : <u32>ctz(left);
        const m1 = min(M, share(tiles, band + 1, bands) * unit);
        for (let m = share(tiles, band, bands) * unit; m < m1; m += BLOCK_ROWS) {
          const rows = min(BLOCK_ROWS, m1 - m);
          const way = kind !== Tile.each ? kind : 1 + (((<u32>cmd >> 3) + m / BLOCK_ROWS) % TILES);
          const high = way === Tile.tall ? TALL_ROWS : TILE_ROWS;
          const from = a + <usize>m * outerA + <usize>k * innerA;
          if (from !== packed) {
            packed = from;
            pack(scratch, from, outerA, innerA, rows, depth, high);
            // A power of two: no bit differs from one that comes after the sum.
            if (scale !== 0) times(scratch, load<f32>(scale, 4), roundUp(rows, high) * depth);
          }
          const c = C + ((<usize>m * N + n) << 2);
          if (way === Tile.columns) block<Columns>(scratch, panels, biasRow, edge, c, N, rows, columns, depth, start);
          else if (way === Tile.lanes) block<Lanes>(scratch, panels, biasRow, edge, c, N, rows, columns, depth, start);
          else block<Tall>(scratch, panels, biasRow, edge, c, N, rows, columns, depth, start);
        }
        if (k !== 0) continue;
        claimed |= (<u64>1) << band;
        item = claim(sync, nth, item);
      }
      start = 1;
      k += BLOCK_DEPTH;
    } while (k < K);
  }
}

/** n floats and what lies behind them up to a multiple of four. */
function times(p: usize, factor: f32, n: u32): void {
  const by = f32x4.splat(factor);
  for (const end = p + ((<usize>n) << 2); p < end; p += 16) v128.store(p, f32x4.mul(v128.load(p), by));
}
