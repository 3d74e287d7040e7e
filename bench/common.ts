// What the benchmarks share: numbers to work on, best and median, tables, and the arithmetic limit of this machine at this moment.

import { availableParallelism, cpus, loadavg } from "node:os";
import { main } from "assemblyscript/asc";

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

const LIMIT_SOURCE = `
export function run(turns: i32): f32 {
  ${Array.from({ length: 12 }, (_, i) => `let s${i} = f32x4.splat(${i}.0);`).join(" ")}
  let x = f32x4.splat(0.999), y = f32x4.splat(0.001);
  for (let i = 0; i < turns; i++) {
    ${Array.from({ length: 12 }, (_, i) => `s${i} = f32x4.add(f32x4.mul(s${i}, x), y);`).join(" ")}
  }
  ${Array.from({ length: 11 }, (_, i) => `s0 = f32x4.add(s0, s${i + 1});`).join(" ")}
  return f32x4.extract_lane(s0, 0);
}`;

/**
 * GFLOP/s of one thread that only multiplies and adds in registers (128-bit, strict: no fused multiply-add): what no kernel can pass.
 * The function measures for about 20 ms.
 */
export async function arithmeticLimit(): Promise<() => number> {
  let binary: Uint8Array | undefined;
  const { error, stderr } = await main(
    ["limit.ts", "-O3", "--runtime", "stub", "--enable", "simd", "-o", "limit.wasm"],
    {
      readFile: (name) => (name === "limit.ts" ? LIMIT_SOURCE : null),
      writeFile: (_, contents) => {
        if (contents instanceof Uint8Array) binary = contents;
      },
      listFiles: () => [],
    },
  );
  if (error || !binary) throw new Error(`the limit kernel did not compile: ${stderr.toString()}`);
  const { instance } = await WebAssembly.instantiate(new Uint8Array(binary), {});
  const run = instance.exports.run as (turns: number) => number;
  const turns = 500_000;
  run(turns);
  return () => {
    const start = performance.now();
    run(turns);
    return (turns * 12 * 4 * 2) / (performance.now() - start) / 1e6;
  };
}
