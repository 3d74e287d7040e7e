// Weights that stay packed between products give the same bits as weights that are packed for each.

import { expect, test } from "vitest";
import { Allocator } from "../../src/executors/allocator.ts";
import { outOfMemory } from "../../src/executors/executor.ts";
import { ThreadPool } from "../../src/executors/pool.ts";
import { WasmExecutor } from "../../src/executors/wasm.ts";
import { fill, linear } from "../../src/ops/index.ts";
import { Trace } from "../../src/program/program.ts";
import { Random } from "../../src/random.ts";
import { here } from "../hosts/here.ts";

const { runtime } = here;
const noise = (length: number, name: string) => {
  const random = new Random(1, name);
  return Float32Array.from({ length }, () => random.uniform() - 0.5);
};

/** y = x·Wᵀ + b. */
function product(M: number, N: number, K: number) {
  const trace = new Trace();
  const [x, weight, bias] = [trace.input("x", [M, K]), trace.state("weight", [N, K]), trace.state("bias", [N])];
  const y = trace.input("y", [M, N]);
  trace.retarget(linear(x, weight, bias), y, false);
  return { program: trace.finish("product"), x, weight, bias, y };
}

/** How often weights were packed since. */
function countPackings(): () => number {
  const { packWeight } = ThreadPool.prototype;
  let count = 0;
  ThreadPool.prototype.packWeight = function (...given) {
    count++;
    packWeight.apply(this, given);
  };
  return () => {
    ThreadPool.prototype.packWeight = packWeight;
    return count;
  };
}

// Whole panels and blocks, parts of both, and several blocks with a rest.
test.each([
  [16, 384, 384],
  [5, 13, 7],
  [70, 401, 1155],
])("%i × %i × %i", async (M, N, K) => {
  const { program, x, weight, bias, y } = product(M, N, K);
  for (const threads of runtime.startThread ? [1, 2] : [1]) {
    const outcomes: unknown[][] = [];
    for (const frozen of [false, true]) {
      const executor = await WasmExecutor.create(runtime, { threads, frozen });
      const packings = countPackings();
      const loaded = executor.load(program);
      executor.write(x, noise(M * K, "x"));
      executor.write(bias, noise(N, "bias"));
      const found: unknown[] = [];
      for (const name of ["first", "second"]) {
        executor.write(weight, noise(N * K, name));
        for (let run = 0; run < 4; run++) {
          executor.run(loaded);
          found.push(await executor.read(y));
        }
      }
      outcomes.push(found);
      expect(packings()).toBe(frozen ? 2 : 0);
      executor.dispose();
    }
    const [packedEachTime, packedOnce] = outcomes;
    expect(packedOnce).toEqual(packedEachTime);
    expect(packedOnce[0]).not.toEqual(packedOnce[4]);
  }
});

test("where there is no memory for it, weights are packed for each product as before", async () => {
  const { program, x, weight, bias, y } = product(16, 24, 40);
  const executor = await WasmExecutor.create(runtime, { threads: 1, frozen: true });
  const packings = countPackings();
  const loaded = executor.load(program);
  executor.write(x, noise(16 * 40, "x"));
  executor.write(bias, noise(24, "bias"));
  executor.write(weight, noise(24 * 40, "first"));
  executor.run(loaded);
  const first = await executor.read(y);
  const { allocate } = Allocator.prototype;
  let refused = 0;
  Allocator.prototype.allocate = () => {
    refused++;
    throw outOfMemory("no bytes are left");
  };
  try {
    for (let run = 0; run < 3; run++) executor.run(loaded);
  } finally {
    Allocator.prototype.allocate = allocate;
  }
  expect(await executor.read(y)).toEqual(first);
  // It is tried once.
  expect([refused, packings()]).toEqual([1, 0]);
  executor.dispose();
});

test("a program that writes state is refused", async () => {
  const executor = await WasmExecutor.create(runtime, { threads: 1, frozen: true });
  const trace = new Trace();
  trace.retarget(fill({ s: trace.input("s", [1]) }, { R: 4 }), trace.state("weight", [4]), false);
  expect(() => executor.load(trace.finish("writes"))).toThrow(/fill writes state where weights are frozen/);
  executor.dispose();
});
