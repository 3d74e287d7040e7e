// What a profile of the WASM executor says of its commands, and of what the machine can do at most.

import { LIMIT_FLOPS } from "../../assembly/layout.ts";
import { Opcode } from "../../assembly/opcodes.ts";
import { InputError } from "../errors.ts";
import type { Instruction } from "../program/program.ts";
import { sizeOf } from "../program/value.ts";
import type { Allocator } from "./allocator.ts";
import type { Kernels } from "./pool.ts";
import type { Limits, Work } from "./profile.ts";

/** Bytes that are copied: more than the caches of a core hold. */
const COPIED = 2 ** 24;
/** About a millisecond of arithmetic. */
const TURNS = 500_000;
/** Milliseconds without progress that end a measurement: engines run a new function in simple code, and replace it between calls only. */
const PATIENCE = 200;
/** So many of these take a tenth of a second, or the clock does not go. */
const STILL = 100;

/** What a command has to do. */
export function workOf(instruction: Instruction): Work {
  const { op, dims, attributes, inputs, output } = instruction;
  const dispatches = op.dispatches(dims, attributes, instruction);
  const values = [output, ...inputs.flat()].filter((value) => value !== null);
  const told = sum(dispatches.map(({ bytes = 0 }) => bytes));
  return { flops: sum(dispatches.map(({ flops = 0 }) => flops)), bytes: told || sum(values.map((v) => 4 * sizeOf(v))) };
}

/** Arithmetic: as many times one thread's as there are threads. Memory: what `copy` reads and writes on all of them. */
export function wasmLimits(pool: Kernels, memory: WebAssembly.Memory, allocator: Allocator): Limits {
  const [from, to, list] = [COPIED, COPIED, 64].map((bytes) => allocator.allocate(bytes));
  const words = [Opcode.copy, 7, 0, to.at, 0, from.at, COPIED / 4];
  new Uint32Array(memory.buffer, list.at, 1 + words.length).set([1, ...words]);
  const arithmetic = best(() => pool.limit(TURNS));
  const copy = best(() => pool.run(list.at));
  for (const block of [from, to, list]) allocator.free(block);
  return { flops: (pool.threads * TURNS * LIMIT_FLOPS) / arithmetic, bytes: (2 * COPIED) / copy };
}

/** Seconds of the fastest of many times. */
function best(work: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  const began = performance.now();
  for (let start = began, progress = began, turns = 1; start < progress + PATIENCE; turns++) {
    work();
    const end = performance.now();
    if (turns === STILL && end === began)
      throw new InputError(
        "PROFILE",
        "this host's clock stands still while it computes, as Cloudflare's does, so nothing can be timed; run without.",
        { where: "--profile" },
      );
    if (end - start < 0.9 * least) progress = end;
    least = Math.min(least, end - start);
    start = end;
  }
  return least / 1000;
}

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
