// A thread of a ThreadPool. All threads share one memory; its words are laid out in assembly/layout.ts. Between runs a thread waits for
// the word SYNC_WORK to change; within a run the threads meet at the barrier of assembly/thread.ts, which sleeps and wakes through here.

import {
  SYNC,
  SYNC_FAILED,
  SYNC_GENERATION,
  SYNC_LIST,
  SYNC_MESSAGE,
  SYNC_MESSAGE_BYTES,
  SYNC_STOP,
  SYNC_WORK,
} from "../../assembly/layout.ts";
import type { ThreadStart } from "../runtimes/runtime.ts";

/** The exports of the kernels' module. */
export interface Kernel {
  run(list: number, ith: number, nth: number, sync: number): void;
  limit(turns: number, factor: number, addend: number): number;
  packWeight(to: number, from: number, N: number, K: number): void;
}

// A waiting thread looks up at least this often. One that was killed cannot say so: no kernel's share takes LIMIT looks.
const LOOK_MS = 1000;
const LIMIT = 120;
// Looks before a thread falls asleep: as in assembly/thread.ts.
const SPINS = 3000;

/** The words of the threads. A view, made anew for each use: memory that is not shared loses its views when it grows. */
export function words(memory: WebAssembly.Memory): Int32Array {
  return new Int32Array(memory.buffer, SYNC, (SYNC_MESSAGE + SYNC_MESSAGE_BYTES + 4) >> 2);
}

export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernel {
  let looks = 0;
  const wait = (address: number, value: number): void => {
    const outcome = Atomics.wait(new Int32Array(memory.buffer), (address >>> 0) >> 2, value | 0, LOOK_MS);
    looks = outcome === "timed-out" ? looks + 1 : 0;
    if (looks >= LIMIT) throw new Error(`another thread has not arrived for ${(LIMIT * LOOK_MS) / 1000} seconds`);
  };
  const wake = (address: number): void => {
    Atomics.notify(new Int32Array(memory.buffer), (address >>> 0) >> 2);
  };
  return new WebAssembly.Instance(module, { env: { memory, wait, wake } }).exports as unknown as Kernel;
}

/** Serves runs until the pool is disposed. Blocks its thread: `ready` is called before. */
export function serveThread({ module, memory, ith, nth }: ThreadStart, ready: () => void): void {
  const kernel = instantiate(module, memory);
  const shared = words(memory);
  let seen = Atomics.load(shared, SYNC_WORK >> 2);
  ready();
  for (;;) {
    for (let spins = SPINS; spins > 0 && Atomics.load(shared, SYNC_WORK >> 2) === seen; spins--);
    Atomics.wait(shared, SYNC_WORK >> 2, seen);
    const now = Atomics.load(shared, SYNC_WORK >> 2);
    if (now === seen) continue;
    seen = now;
    if (Atomics.load(shared, SYNC_STOP >> 2) !== 0) return;
    try {
      kernel.run(Atomics.load(shared, SYNC_LIST >> 2), ith, nth, SYNC);
    } catch (error) {
      fail(shared, ith, error);
      return;
    }
  }
}

/** Leaves the reason in memory, where the other threads find it, and frees those that wait at a barrier. The first failure stays. */
export function fail(shared: Int32Array, ith: number, error: unknown): void {
  const text = new TextEncoder().encode(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
  if (Atomics.compareExchange(shared, SYNC_FAILED >> 2, 0, -1) !== 0) return;
  const bytes = text.subarray(0, SYNC_MESSAGE_BYTES);
  new Uint8Array(shared.buffer, SYNC + SYNC_MESSAGE + 4, bytes.length).set(bytes);
  shared[SYNC_MESSAGE >> 2] = bytes.length;
  Atomics.store(shared, SYNC_FAILED >> 2, ith + 1);
  Atomics.add(shared, SYNC_GENERATION >> 2, 1);
  Atomics.notify(shared, SYNC_GENERATION >> 2);
}

/** What went wrong in which thread, once a thread has failed. */
export function failure(shared: Int32Array): string | undefined {
  const failed = Atomics.load(shared, SYNC_FAILED >> 2);
  if (failed === 0) return undefined;
  const bytes = new Uint8Array(shared.buffer, SYNC + SYNC_MESSAGE + 4, shared[SYNC_MESSAGE >> 2]).slice();
  if (failed < 0) return "a thread failed";
  return `thread ${failed - 1}: ${new TextDecoder().decode(bytes)}`;
}
