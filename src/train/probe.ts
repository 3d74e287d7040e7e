// How fast an executor multiplies: for an adapter that does not say whether it is a GPU.

import { LimbeckError } from "../errors.ts";
import { USE_WASM } from "../executors/adapter.ts";
import type { Executor } from "../executors/executor.ts";
import { linear } from "../ops/index.ts";
import { Trace } from "../program/program.ts";

/** Enough for a GPU to outweigh what it costs to reach it, little enough for a CPU: 3.6 GFLOP. */
const SIZE = 768;
const PRODUCTS = 4;

/** The best of so many runs, of which the first compiles; fewer when time is up. */
const RUNS = 4;
const MOST_SECONDS = 1;

/** No GPU is slower than so many times WASM. */
const SPEEDUP = 2;

/** Throws when an executor multiplies too slowly for a GPU; otherwise a phrase about how fast it does. */
export async function requireFaster(executor: Executor, wasm: Executor, adapter: string, size = SIZE): Promise<string> {
  const speedup = (await secondsOfProducts(wasm, size)) / (await secondsOfProducts(executor, size));
  const phrase = `${speedup.toPrecision(2)} × as fast as WASM`;
  if (speedup >= SPEEDUP) return phrase;
  throw new LimbeckError("GPU_SLOW", `${adapter} does not say what it is and multiplies only ${phrase}${USE_WASM}`);
}

/** Seconds of PRODUCTS products of two f32 matrices, [size, size] each. */
async function secondsOfProducts(executor: Executor, size: number): Promise<number> {
  const trace = new Trace();
  const [x, weight] = [trace.input("probe/x", [size, size]), trace.input("probe/w", [size, size])];
  let y = x;
  for (let i = 1; i < PRODUCTS; i++) y = linear(y, weight);
  trace.retarget(linear(y, weight), trace.state("probe/y", [size, size]), false);
  const program = trace.finish("probe");
  const loaded = executor.load(program);
  // Not zeros: nobody should find a short cut.
  for (const value of [x, weight])
    executor.write(
      value,
      Float32Array.from({ length: size * size }, (_, i) => (i % 7) / size),
    );
  await executor.finished();
  let best = Number.POSITIVE_INFINITY;
  const began = performance.now();
  for (let run = 0; run < RUNS && performance.now() - began < 1000 * MOST_SECONDS; run++) {
    const start = performance.now();
    executor.run(loaded);
    await executor.finished();
    best = Math.min(best, performance.now() - start);
  }
  for (const { name } of program.values) executor.release(name);
  return best / 1000;
}
