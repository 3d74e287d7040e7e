// What the benchmarks share: numbers to work on, best and median, tables, and the arithmetic limit of this machine at this moment.

import { availableParallelism, cpus, loadavg } from "node:os";
import { LIMIT_FLOPS } from "../assembly/layout.ts";
import { instantiate } from "../src/executors/thread.ts";
import type { Numerics } from "../src/executors/wasm.ts";
import { node } from "../src/runtimes/node.ts";

export { bertConfig, noise, randomWeights } from "./peers/work.ts";

export const best = (times: readonly number[]) => Math.min(...times);

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

/** One line about where figures come from: they compare only with others of the same run. */
export function machine(): string {
  const load = loadavg()[0].toFixed(1);
  return `${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, Node ${process.versions.node}, load ${load} at the start`;
}

/**
 * GFLOP/s of one thread that only multiplies and adds in registers (128 bits wide; strict: not fused): what no kernel can pass. The
 * function measures for about 20 ms.
 */
export async function arithmeticLimit(numerics: Numerics = "strict"): Promise<() => number> {
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536 });
  const { limit } = instantiate(await node.compile(numerics === "fast" ? "fast.single" : "single"), memory);
  const turns = 500_000;
  const measure = (milliseconds: number) => {
    let least = Number.POSITIVE_INFINITY;
    const began = performance.now();
    for (let start = began; start < began + milliseconds; ) {
      limit(turns, 0.999, 0.001);
      const end = performance.now();
      least = Math.min(least, end - start);
      start = end;
    }
    return (turns * LIMIT_FLOPS) / least / 1e6;
  };
  // Engines run new functions in simple code first.
  measure(200);
  return () => measure(20);
}
