// Fixed addresses and sizes of the WASM memory, shared by the kernels and by the code that prepares memory for them (src/).
// The first page belongs to the threads; everything that an executor places begins at HEAP.

/** First address an executor may use. */
export const HEAP = 65536;

/** The threads' words: offsets in bytes from SYNC, each written by one party and alone on its cache line. */
export const SYNC = 1024;
export const SYNC_ARRIVED = 0; // threads inside the current barrier
export const SYNC_GENERATION = 128; // barriers passed; what a waiting thread waits on
export const SYNC_SLEEPERS = 256; // threads that have left spinning for Atomics.wait
export const SYNC_CLAIMED = 320; // items of the current command that threads have claimed (thread.ts)
export const SYNC_FAILED = 384; // 1 + number of the thread that failed, 0 while all is well
export const SYNC_WORK = 512; // runs begun; what an idle thread waits on
export const SYNC_LIST = 516; // address of the list of that run
export const SYNC_STOP = 520; // 1: threads end
export const SYNC_TILE = 524; // which register tile products use, a Tile
export const SYNC_MESSAGE = 640; // UTF-8 text of the failure, its length in bytes first
export const SYNC_MESSAGE_BYTES = 380;

/** Sizes of the matrix product: rows of its register tiles, a tall one and others, their columns, and what is packed at a time. */
export const TALL_ROWS = 6;
export const TILE_ROWS = 4;
export const TILE_COLUMNS = 8;
/** The ways in which the register tile is written (kernels/tile.ts); `each` takes them in turn, block by block. */
export enum Tile {
  each = 0,
  tall = 1,
  columns = 2,
  lanes = 3,
}
export const TILES = 3;
export const BLOCK_ROWS = 72; // whole tiles of either kind
export const BLOCK_COLUMNS = 384;
export const BLOCK_DEPTH = 384;

/** Scratch of one thread in a matrix product: packed a, packed b, one bias row, one edge tile. */
export const MATMUL_SCRATCH =
  4 * (BLOCK_ROWS * BLOCK_DEPTH + BLOCK_COLUMNS * BLOCK_DEPTH + BLOCK_COLUMNS + TALL_ROWS * TILE_COLUMNS);

/** Floats of scratch for one thread of an lstm: the products of two rows with four units of each gate. */
export const LSTM_ROOM = 32;

/** Multiplications and additions in a turn of limit.ts: twelve vectors of four. */
export const LIMIT_FLOPS = 12 * 4 * 2;
