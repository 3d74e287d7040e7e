// Sizes that the shaders share with the code that counts workgroups (src/program/dispatch.ts). The build writes them as `const` lines
// in front of every shader.

/** Threads of a workgroup that goes over elements, one element a thread. */
export const GROUP = 256;

/** A workgroup that goes over rows: so many rows, so many threads for each. */
export const ROWS = 4;
export const LANES = 16;

/** A workgroup that sums columns: so many columns, each cut into so many slices of rows. */
export const COLUMNS = 16;
export const SLICES = 16;

/**
 * Tiles of the matrix product (what they say: shaders/matmul.wgsl), all of which give the same bits. The first is for devices that nobody
 * measured: of llama.cpp's tuning over many GPUs it lost least on the worst (ggml-org/llama.cpp, pull request 22241).
 */
export const TILES: readonly Tile[] = [
  { rows: 32, columns: 32, depth: 16, quadsM: 1, quadsN: 1, shared: true },
  { rows: 64, columns: 64, depth: 16, quadsM: 1, quadsN: 1, shared: true },
  { rows: 64, columns: 64, depth: 16, quadsM: 2, quadsN: 2, shared: true },
  { rows: 128, columns: 64, depth: 16, quadsM: 2, quadsN: 1, shared: true },
  { rows: 128, columns: 128, depth: 8, quadsM: 2, quadsN: 2, shared: true },
  { rows: 32, columns: 32, depth: 4, quadsM: 1, quadsN: 1, shared: false },
];

export interface Tile {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly quadsM: number;
  readonly quadsN: number;
  readonly shared: boolean;
}

/** Products inside attention, where sequences are short: squares of this size. */
export const ATTENTION_TILE = 16;

/** Elements of one tensor that one workgroup squares and adds for the global norm. */
export const CHUNK = 4096;

/** Floats of workgroup memory for an lstm: the gates' gradients of one row, so at most a quarter as many units. */
export const LSTM_WIDTH = 4096;
