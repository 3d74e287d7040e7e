// Which way of writing the register tile (assembly/kernels/tile.ts) this engine runs fastest. Until that is known the tiles take turns, so
// that engines optimise all of them; then each multiplies for a few milliseconds in all. No bit of a result depends on the choice.

import {
  BLOCK_COLUMNS,
  BLOCK_DEPTH,
  BLOCK_ROWS,
  MATMUL_SCRATCH,
  SYNC,
  SYNC_TILE,
  TILES,
  type Tile,
} from "../../assembly/layout.ts";
import { Opcode } from "../../assembly/opcodes.ts";
import type { Program } from "../program/program.ts";
import type { Allocator, Block } from "./allocator.ts";
import { isTooLarge } from "./executor.ts";
import type { Kernels } from "./pool.ts";

/** Multiplications and additions in products before the first measurement, and how much more there are before each next one. */
const FIRST = 1e9;
const GROWTH = 2;
/** Measurements, far from each other, because other programs may disturb some; the best times of all decide. */
const ROUNDS = 10;
/** About a millisecond of them. */
const PRODUCTS = 6;

export class TileChoice {
  readonly #pool: Kernels;
  readonly #memory: WebAssembly.Memory;
  readonly #allocator: Allocator;
  readonly #best = new Array<number>(TILES).fill(Number.POSITIVE_INFINITY);
  #done = 0;
  #next = FIRST;
  #rounds = 0;

  constructor(pool: Kernels, memory: WebAssembly.Memory, allocator: Allocator) {
    [this.#pool, this.#memory, this.#allocator] = [pool, memory, allocator];
  }

  /** The tile in use. */
  get tile(): Tile {
    return new Uint32Array(this.#memory.buffer)[(SYNC + SYNC_TILE) >> 2];
  }

  set tile(tile: Tile) {
    new Uint32Array(this.#memory.buffer)[(SYNC + SYNC_TILE) >> 2] = tile;
  }

  /** To be called between runs, with what the last one did. */
  after(flops: number): void {
    if (this.#rounds === ROUNDS) return;
    this.#done += flops;
    if (this.#done < this.#next) return;
    this.#next *= GROWTH;
    this.#rounds++;
    this.#measure();
    this.tile = 1 + this.#best.indexOf(Math.min(...this.#best));
  }

  /** Each tile in turn, for about a millisecond. */
  #measure(): void {
    const [M, N, K] = [BLOCK_ROWS, BLOCK_COLUMNS >> 2, BLOCK_DEPTH];
    const sizes = [4 * M * K, 4 * N * K, 4 * M * N, MATMUL_SCRATCH, 64];
    const blocks: Block[] = [];
    try {
      for (const bytes of sizes) blocks.push(this.#allocator.allocate(bytes));
      this.#time(blocks);
    } catch (error) {
      // No run ends for want of memory to measure in: the tile stays.
      if (!isTooLarge(error)) throw error;
    } finally {
      for (const block of blocks) this.#allocator.free(block);
    }
  }

  #time(blocks: readonly Block[]): void {
    const [M, N, K] = [BLOCK_ROWS, BLOCK_COLUMNS >> 2, BLOCK_DEPTH];
    const [a, b, c, scratch, list] = blocks.map(({ at }) => at);
    // What lies there may be denormal, and slow.
    for (const [at, length] of [
      [a, M * K],
      [b, N * K],
    ])
      new Float32Array(this.#memory.buffer, at, length).fill(1);
    new Uint32Array(this.#memory.buffer, list, 16).set([
      1,
      Opcode.matmul,
      14,
      scratch,
      c,
      0,
      a,
      b,
      0,
      0,
      M,
      N,
      K,
      0,
      1,
    ]);
    // Whoever is first must not pay for cold caches.
    this.#pool.alone(list);
    for (let i = 0; i < TILES; i++) {
      this.tile = 1 + i;
      const start = performance.now();
      for (let product = 0; product < PRODUCTS; product++) this.#pool.alone(list);
      this.#best[i] = Math.min(this.#best[i], performance.now() - start);
    }
  }
}

/** Multiplications and additions in a program's products. */
export function productsOf({ instructions }: Program): number {
  return instructions.reduce((sum, { op, dims, attributes, inputs }) => {
    if (op.name !== "matmul") return sum;
    const [M, N, K] = op.parameters(dims, attributes, inputs);
    return sum + 2 * M * N * K;
  }, 0);
}
