// Threads, and the kernels whose sums must not depend on them: bits equal to plain sequential f32 sums with 1, 2 and 3 threads.

import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { HEAP, SYNC, SYNC_TILE, TILES } from "../../assembly/layout.ts";
import { Opcode } from "../../assembly/opcodes.ts";
import { ThreadPool } from "../../src/executors/pool.ts";
import { node } from "../../src/runtimes/node.ts";

const NONE = 0xffffffff;
const counts = [1, 2, 3];
const opened: ThreadPool[] = [];

async function open(threads: number, pages = 512, maximum = 512) {
  const memory = new WebAssembly.Memory({ initial: pages, maximum, shared: threads > 1 });
  const module = await node.compile(threads > 1 ? "threads" : "single");
  const pool = await ThreadPool.create(node, module, memory, threads);
  opened.push(pool);
  return { pool, memory };
}

afterAll(() => {
  for (const pool of opened) pool.dispose();
});

type Command = readonly [opcode: Opcode, ...words: number[]];

/** words: scratch, output, accumulate, inputs, parameters. */
function writeList(memory: WebAssembly.Memory, commands: readonly Command[]): number {
  const words = [
    commands.length,
    ...commands.flatMap(([opcode, ...rest]: Command) => [opcode, rest.length + 2, ...rest]),
  ];
  new Uint32Array(memory.buffer, HEAP, words.length).set(words);
  return HEAP;
}

interface Product {
  M: number;
  N: number;
  K: number;
  transposeA: boolean;
  transposeB: boolean;
  accumulate: boolean;
  bias: boolean;
  scaled: boolean;
  /** A Tile. */
  tile: number;
  seed: number;
}

const round = Math.fround;

function noise(length: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

const SCALE = [64, 1 / 64];

/** The sum that the kernel promises: the start, then a·b for k = 0, 1, …, each step rounded to f32. */
function sequential(p: Product, a: Float32Array, b: Float32Array, bias: Float32Array, old: Float32Array): Float32Array {
  const out = new Float32Array(p.M * p.N);
  for (let m = 0; m < p.M; m++)
    for (let n = 0; n < p.N; n++) {
      let sum = p.accumulate ? old[m * p.N + n] : 0;
      if (p.bias) sum = round(sum + bias[n]);
      const factor = p.scaled ? SCALE[1] : 1;
      for (let k = 0; k < p.K; k++)
        sum = round(
          sum +
            round(factor * a[p.transposeA ? k * p.M + m : m * p.K + k] * b[p.transposeB ? n * p.K + k : k * p.N + n]),
        );
      out[m * p.N + n] = sum;
    }
  return out;
}

type Opened = Awaited<ReturnType<typeof open>>;

/** Multiplies on each of the pools, at `base`, and compares bits; nothing may be written outside of the output. */
function multiply(pools: readonly Opened[], p: Product, base: number): void {
  const [a, b, bias, old] = [p.M * p.K, p.K * p.N, p.N, p.M * p.N].map((length, i) => noise(length, p.seed + i));
  const expected = new Uint32Array(sequential(p, a, b, bias, old).buffer);
  for (const { pool, memory } of pools) {
    let next = base;
    const place = (data: Float32Array): number => {
      const at = next;
      new Float32Array(memory.buffer, at, data.length).set(data);
      next += (data.byteLength + 31) & ~15;
      return at;
    };
    const [atA, atB, atBias, atScale] = [a, b, bias, Float32Array.from(SCALE)].map(place);
    const guard = new Float32Array(4).fill(7);
    const guarded = new Float32Array(old.length + 8).fill(7);
    guarded.set(old, guard.length);
    const atC = place(guarded) + guard.byteLength;
    const words = [next, atC, Number(p.accumulate), atA, atB, p.bias ? atBias : 0, p.scaled ? atScale : 0];
    words.push(p.M, p.N, p.K, Number(p.transposeA), Number(p.transposeB));
    new Uint32Array(memory.buffer)[(SYNC + SYNC_TILE) >> 2] = p.tile;
    pool.run(writeList(memory, [[Opcode.matmul, ...words]]));
    const out = new Float32Array(memory.buffer, atC - guard.byteLength, old.length + 8).slice();
    expect([...out.subarray(0, 4), ...out.subarray(-4)]).toEqual([...guard, ...guard]);
    expect(new Uint32Array(out.slice(4, -4).buffer)).toEqual(expected);
  }
}

test("matmul is one sequential f32 sum an element, for every shape, number of threads and register tile", async () => {
  const pools = await Promise.all(counts.map((threads) => open(threads)));
  const size = (max: number) => fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max }));
  const product = fc.record({
    M: fc.oneof(size(70), fc.integer({ min: 100, max: 200 })),
    N: size(420),
    K: fc.oneof(fc.constant(0), size(60), fc.integer({ min: 380, max: 800 })),
    transposeA: fc.boolean(),
    transposeB: fc.boolean(),
    accumulate: fc.boolean(),
    bias: fc.boolean(),
    scaled: fc.boolean(),
    tile: fc.nat({ max: TILES }),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(product, (p) => multiply(pools, p, 2 * HEAP)),
    { numRuns: 100, seed: 1 },
  );
  // More rows than there are bands of one block each.
  const flags = { transposeA: false, transposeB: false, accumulate: false, bias: true, scaled: false };
  const many = { M: 4700, N: 10, K: 400, ...flags, tile: 1, seed: 1 };
  multiply([...pools, await open(9)], many, 2 * HEAP);
});

describe.each(counts)("%i threads", (threads) => {
  test("gatherGrad adds the rows of an id in their order", async () => {
    const { pool, memory } = await open(threads);
    const [R, D, V] = [203, 13, 40];
    const ids = noise(R, 5).map((x, r) => (r % 19 === 18 ? NONE : Math.floor((x + 1) * 10) * 2));
    const order = [...ids.keys()].sort((i, j) => ids[i] - ids[j] || i - j);
    const dy = noise(R * D, 6);
    const [atIds, atOrder, atDy, atOut] = [2, 3, 4, 5].map((page) => page * HEAP);
    new Uint32Array(memory.buffer, atIds, R).set(Array.from(ids, (id) => (id > V ? NONE : id)));
    new Uint32Array(memory.buffer, atOrder, R).set(order);
    new Float32Array(memory.buffer, atDy, R * D).set(dy);
    const out = new Float32Array(memory.buffer, atOut, V * D).fill(3);
    const expected = new Float32Array(V * D);
    const add = () => {
      for (let r = 0; r < R; r++)
        if (ids[r] <= V) for (let d = 0; d < D; d++) expected[ids[r] * D + d] += dy[r * D + d];
    };
    for (const accumulate of [0, 1]) {
      pool.run(writeList(memory, [[Opcode.gatherGrad, 0, atOut, accumulate, atDy, atIds, atOrder, R, D, V]]));
      add();
      expect(out).toEqual(expected);
    }
  });

  test("20,000 commands: no thread is lost, none runs ahead", async () => {
    const { pool, memory } = await open(threads);
    const [one, counted, many, total] = [2, 3, 4, 20].map((page) => page * HEAP);
    new Float32Array(memory.buffer, one, 1)[0] = 1;
    const n = 8 * threads;
    // Now and then one thread works long while the others fall asleep.
    const commands = Array.from({ length: 1000 }, (_, i): Command => {
      if (i % 250 === 249) return [Opcode.sum, 0, total, 0, many, 200_000];
      return [Opcode.fill, 0, counted, 1, one, n];
    });
    const list = writeList(memory, commands);
    for (let i = 0; i < 20; i++) pool.run(list);
    expect([...new Float32Array(memory.buffer, counted, n)]).toEqual(Array(n).fill(20 * 996));
  });

  test("a thread that fails is an error, not a hang [W1]", async () => {
    const { pool, memory } = await open(threads);
    const [ids, table, out] = [2, 3, 4].map((page) => page * HEAP);
    // The last row belongs to the last thread; its id lies outside the table.
    new Uint32Array(memory.buffer, ids, 30)[29] = 64;
    const list = writeList(memory, Array(3).fill([Opcode.gather, 0, out, 0, table, ids, 0, 30, 8, 64]));
    const failed = expect.objectContaining({
      code: "THREAD_FAILED",
      message: expect.stringContaining(`thread ${threads - 1}: RuntimeError`),
    });
    expect(() => pool.run(list)).toThrow(failed);
    expect(() => pool.run(list)).toThrow(failed);
    pool.dispose();
    expect(() => pool.run(list)).toThrow(expect.objectContaining({ code: "POOL_DISPOSED" }));
  });

  test("an empty list returns", async () => {
    const { pool, memory } = await open(threads);
    pool.run(writeList(memory, []));
  });
});

test("addresses above 2 GiB", async () => {
  const opened = await open(2, 49152, 49152);
  const p = { M: 30, N: 21, K: 17, transposeA: false, transposeB: true, accumulate: true, bias: true, scaled: true };
  for (let tile = 0; tile <= TILES; tile++) multiply([opened], { ...p, tile, seed: 3 }, 2.5 * 2 ** 30);
});

test("a thread that cannot start is named [W1]", async () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
  const other = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 2, 8, 1, 1, 97, 1, 98, 3, 127, 0));
  await expect(
    ThreadPool.create(
      { ...node, startThread: async (start) => node.startThread?.({ ...start, module: other }) },
      await node.compile("threads"),
      memory,
      2,
    ),
  ).rejects.toMatchObject({ code: "THREAD_START" });
});
