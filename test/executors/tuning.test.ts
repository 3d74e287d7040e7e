// Tiles of the matrix product: whichever a device is found to run fastest, no bit changes.

import { describe, expect, test } from "vitest";
import { TILES } from "../../shaders/layout.ts";
import { chunkOf, cut, TYPICAL } from "../../shaders/tiles.ts";
import { findAdapter } from "../../src/executors/adapter.ts";
import { Pipelines } from "../../src/executors/pipelines.ts";
import { differingFromFirst, tune } from "../../src/executors/tuning.ts";
import { keep, matmul } from "../../src/ops/index.ts";
import { Trace } from "../../src/program/program.ts";
import { Random } from "../../src/random.ts";
import { here } from "../hosts/here.ts";
import { webgpu } from "./each.ts";

type Size = readonly [M: number, N: number, K: number];

/** op(a)·op(b) + bias and, added to what is there, the same without bias. */
async function product([M, N, K]: Size, transposeA: boolean, transposeB: boolean, tile: number) {
  const trace = new Trace();
  const [a, b] = [trace.input("a", transposeA ? [K, M] : [M, K]), trace.input("b", transposeB ? [N, K] : [K, N])];
  const bias = trace.input("bias", [N]);
  const y = keep(matmul({ a, b, bias }, { transposeA, transposeB }), "y");
  const sum = trace.state("sum", [M, N]);
  trace.retarget(matmul({ a, b }, { transposeA, transposeB }), sum, true);
  const executor = await webgpu.make({ tiling: [tile, tile, tile] });
  const random = new Random(1, "tiles");
  for (const [value, n] of [
    [a, M * K],
    [b, K * N],
    [bias, N],
    [sum, M * N],
  ] as const)
    executor.write(
      value,
      Float32Array.from({ length: n }, () => random.normal()),
    );
  executor.run(executor.load(trace.finish("product")));
  const found = await Promise.all([executor.read(y), executor.read(sum)]);
  executor.dispose();
  return found;
}

describe.skipIf(webgpu.missing)(`tiles on ${webgpu.name}`, () => {
  const cases: readonly (readonly [string, Size, boolean, boolean])[] = [
    ["NT", [136, 140, 36], false, true],
    ["NN", [136, 140, 36], false, false],
    ["TN", [136, 140, 36], true, false],
    ["TT, rows of single numbers", [67, 35, 19], true, true],
    ["TN, sums in parts", [68, 36, 1028], true, false],
  ];
  test.each(cases)("all give the same bits: %s", async (_, size, transposeA, transposeB) => {
    const expected = await product(size, transposeA, transposeB, 0);
    for (let tile = 1; tile < TILES.length; tile++)
      expect(await product(size, transposeA, transposeB, tile), `tile ${tile}`).toEqual(expected);
  });

  test("tuning takes one of them for each kind, and sees one that differs", async () => {
    const adapter = await findAdapter((await here.runtime.gpu?.()) as GPU);
    const device = await adapter.device();
    const pipelines = new Pipelines(device);
    const small = { M: 40, N: 36, K: 36, transposeA: false, transposeB: true };
    const found = await tune(device, pipelines, { products: [small, small], slowest: Number.POSITIVE_INFINITY });
    expect(found).toHaveLength(2);
    for (const number of found) expect(Object.keys(TILES)).toContain(String(number));
    expect(await tune(device, pipelines, { products: [small], slowest: 0 })).toEqual([]);

    const compile = pipelines.compile.bind(pipelines);
    // A driver that gets one tile wrong.
    pipelines.compile = (entry, access, head = "") =>
      compile(
        entry,
        access,
        head.includes("TILE_M = 128u") ? head.replace(/TRANSPOSE_B = \w+/, "TRANSPOSE_B = true") : head,
      );
    expect([...(await differingFromFirst(device, pipelines, new Set([2, 3])))]).toEqual([3]);
    device.destroy();
  });
});

describe("a product is cut", () => {
  test("by its shape, and into whole tiles", () => {
    const shapes = [...TYPICAL, { M: 312, N: 312, K: 4096 }, { M: 384, N: 384, K: 448 }, { M: 2, N: 384, K: 2048 }];
    const parts = shapes.map((shape) => {
      const product = { transposeA: true, transposeB: false, ...shape };
      const chunk = chunkOf(product);
      if (chunk < product.K) for (const { depth } of TILES) expect(chunk % depth).toBe(0);
      expect(cut(product).parts).toBe(Math.ceil(product.K / chunk));
      return Math.ceil(product.K / chunk);
    });
    expect(parts).toEqual([1, 1, 1, 3, 1, 8]);
  });

  test("into tiles that WebGPU's smallest limits allow [G3]", () => {
    for (const { rows, columns, depth, quadsM, quadsN, shared } of TILES) {
      expect((rows * columns) / (16 * quadsM * quadsN)).toBeLessThanOrEqual(256);
      expect(shared ? 4 * depth * (rows + columns) : 0).toBeLessThanOrEqual(16384);
      if (!shared) expect([depth, quadsM, quadsN]).toEqual([4, 1, 1]);
    }
  });
});
