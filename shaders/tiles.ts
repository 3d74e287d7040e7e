// How a matrix product is cut for a GPU: in tiles, for which there are variants, and in parts along k where tiles alone are too few.

import type { Dispatch, Variant } from "../src/program/dispatch.ts";
import { TILES, type Tile } from "./layout.ts";

export interface Product {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  /** Both operands are of half precision. */
  readonly half?: boolean;
  /** One of them was multiplied by the scale of the loss. */
  readonly scaled?: boolean;
}

/** Workgroups of 64 × 64 elements that a product must give before it is left whole, and terms below which it is not cut. */
const ENOUGH = 64;
const FEWEST_TERMS = 256;
const MOST_PARTS = 16;
/** Every tile's depth divides it, so that no tile reaches into the next part. */
const PART_STEP = 64;

const tilesOf = ({ M, N }: Product, edge: number) => Math.ceil(M / edge) * Math.ceil(N / edge);

/** Terms of each part: all, or fewer where the product has few elements and long sums. By shape only: it decides the order of the sums. */
export function chunkOf(product: Product): number {
  const { K } = product;
  const wanted = Math.ceil(ENOUGH / tilesOf(product, 64));
  const parts = Math.max(1, Math.min(wanted, Math.floor(K / FEWEST_TERMS), MOST_PARTS));
  return parts === 1 ? K : Math.ceil(K / parts / PART_STEP) * PART_STEP;
}

/** One product of each kind. Kinds are tuned apart, because a GPU of many parts starves on a few large tiles. */
export const TYPICAL: readonly Product[] = [
  { M: 256, N: 384, K: 384, transposeA: false, transposeB: true },
  { M: 1024, N: 768, K: 768, transposeA: false, transposeB: true },
  { M: 2048, N: 3072, K: 256, transposeA: false, transposeB: true },
];

function kindOf(product: Product): number {
  const groups = tilesOf(product, 64) * Math.ceil(product.K / chunkOf(product));
  return groups < 96 ? 0 : groups < 768 ? 1 : 2;
}

function head(product: Product, tile: Tile): string {
  const { M, N, K, transposeA, transposeB, half = false, scaled = false } = product;
  const number = half ? "f16" : "f32";
  const vectors = (transposeA ? M : K) % 4 === 0 && (transposeB ? K : N) % 4 === 0;
  return [
    ...(half ? ["enable f16;"] : []),
    `alias Element = ${vectors ? `vec4<${number}>` : number};`,
    `const WIDTH = ${vectors ? 4 : 1}u;`,
    `const TILE_M = ${tile.rows}u;`,
    `const TILE_N = ${tile.columns}u;`,
    `const DEPTH = ${tile.depth}u;`,
    `const QUADS_M = ${tile.quadsM}u;`,
    `const QUADS_N = ${tile.quadsN}u;`,
    `const SHARED = ${tile.shared};`,
    `const TRANSPOSE_A = ${transposeA};`,
    `const TRANSPOSE_B = ${transposeB};`,
    `const SCALED = ${scaled};`,
  ].join("\n");
}

/** The variants of a product, into how many parts it is cut, and what the shader must know of it. */
export function cut(
  product: Product,
): Pick<Dispatch, "head" | "grid" | "variants" | "kind" | "parameters" | "flops"> & { parts: number } {
  const { M, N, K } = product;
  const chunk = chunkOf(product);
  const parts = Math.ceil(K / chunk);
  const variants = TILES.map(
    (tile): Variant => ({
      head: head(product, tile),
      grid: [Math.ceil(N / tile.columns), Math.ceil(M / tile.rows), parts],
    }),
  );
  const parameters = [M, N, K, chunk];
  return { ...variants[0], variants, kind: kindOf(product), parameters, parts, flops: 2 * M * N * K };
}
