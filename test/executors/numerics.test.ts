// Fast numerics: where they run, that they change with neither threads nor register tiles, and the choice of the tile. That they are right
// is tested op by op: where a host has relaxed SIMD they are one more device of each.ts.

import { afterAll, describe, expect, test } from "vitest";
import { Tile } from "../../assembly/layout.ts";
import { Unary } from "../../assembly/opcodes.ts";
import { type Numerics, WasmExecutor } from "../../src/executors/wasm.ts";
import { wasmFeatures } from "../../src/executors/wasmFeatures.ts";
import { attentionMix, attentionPairs, keep, lstm, matmul, softmax, unary } from "../../src/ops/index.ts";
import { Trace } from "../../src/program/program.ts";
import { sizeOf } from "../../src/program/value.ts";
import { Random } from "../../src/random.ts";
import { openDevice } from "../../src/train/session.ts";
import { here } from "../hosts/here.ts";

const { relaxedSimd } = wasmFeatures();
const opened: WasmExecutor[] = [];

afterAll(() => {
  for (const executor of opened) executor.dispose();
});

async function open(numerics: Numerics, threads = 1): Promise<WasmExecutor> {
  const executor = await WasmExecutor.create(here.runtime, { threads, numerics });
  opened.push(executor);
  return executor;
}

test("fast numerics run where there is relaxed SIMD; elsewhere strict ones do, and the reason is told", async () => {
  const is = relaxedSimd ? "fast" : "strict";
  expect((await open("fast")).numerics).toEqual({ is, wanted: "fast" });
  expect((await open("strict")).numerics).toEqual({ is: "strict", wanted: "strict" });
  const device = await openDevice(here.runtime, { device: "wasm", numerics: "fast", threads: 1 });
  device.executor.dispose();
  expect(device.choice).toBe(
    relaxedSimd
      ? "wasm: SIMD, fast numerics, 1 thread"
      : "wasm: SIMD, strict numerics (fast ones need relaxed SIMD, which this host's WebAssembly lacks), 1 thread",
  );
});

/** A program of whatever multiplies and adds, over sizes that are no multiple of any tile. */
function everything(executor: WasmExecutor): () => Promise<Uint32Array[]> {
  const [N, D, H, L] = [93, 66, 3, 48];
  const trace = new Trace();
  const [x, y] = [trace.state("x", [N, D]), trace.state("y", [D, 131])];
  const [gates, weight] = [trace.state("gates", [N, 4 * D]), trace.state("weight", [4 * D, D])];
  const offsets = trace.input("offsets", [3], "u32");
  const p = softmax({ x: attentionPairs({ q: x, k: x, offsets }, { H, L, scale: 0.3 }), offsets }, {});
  const results = [
    matmul({ a: x, b: y }, { transposeA: false, transposeB: false }),
    attentionMix({ p, v: x, offsets }, { scale: 1 }),
    lstm({ x: gates, weight, offsets }, { reverse: false }),
    unary({ x }, { kind: Unary.gelu }),
  ].map((value, i) => keep(value, `result ${i}`));
  const loaded = executor.load(trace.finish("everything"));
  const random = new Random(1, "numerics");
  for (const value of [x, y, gates, weight])
    executor.write(
      value,
      Float32Array.from({ length: sizeOf(value) }, () => random.normal()),
    );
  executor.write(offsets, Uint32Array.of(0, 41, 88));
  return async () => {
    executor.run(loaded);
    const found = await Promise.all(results.map((value) => executor.read(value)));
    return found.map((numbers) => new Uint32Array(numbers.buffer));
  };
}

const builds = ["strict", "fast"] as const;

describe.each(builds)("%s numerics", (numerics) => {
  test("threads and register tiles change no bit", async ({ skip }) => {
    skip(numerics === "fast" && !relaxedSimd, "this host has no relaxed SIMD");
    let expected: Uint32Array[] | undefined;
    for (const threads of here.threads) {
      const executor = await open(numerics, threads);
      const run = everything(executor);
      for (const tile of [Tile.each, Tile.tall, Tile.columns, Tile.lanes]) {
        executor.tiles.tile = tile;
        const found = await run();
        expected ??= found;
        expect(found).toEqual(expected);
      }
    }
    expect(expected?.every((bits) => bits.some((word) => word !== 0))).toBe(true);
  });
});

test("after a thousand million multiplications and additions one register tile is chosen", async () => {
  const executor = await open("strict", Math.max(...here.threads));
  const trace = new Trace();
  const [a, b] = [trace.state("a", [256, 384]), trace.state("b", [384, 256])];
  const y = keep(matmul({ a, b }, { transposeA: false, transposeB: false }), "y");
  const loaded = executor.load(trace.finish("product"));
  for (const value of [a, b]) executor.write(value, new Float32Array(sizeOf(value)).fill(0.1));
  executor.run(loaded);
  expect(executor.tiles.tile).toBe(Tile.each);
  const before = await executor.read(y);
  for (let done = 0; done < 1e9; done += 2 * 256 * 384 * 256) executor.run(loaded);
  expect([Tile.tall, Tile.columns, Tile.lanes]).toContain(executor.tiles.tile);
  executor.run(loaded);
  expect(await executor.read(y)).toEqual(before);
});
