// Runs command lists on all threads of a memory. The caller's own thread is number 0; the others sleep between runs. With one thread
// there is no other thread and nothing is shared.

import { SYNC, SYNC_LIST, SYNC_STOP, SYNC_WORK } from "../../assembly/layout.ts";
import { LimbeckError } from "../errors.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { fail, failure, instantiate, type Kernel, words } from "./thread.ts";

/** Something that runs command lists. */
export interface Kernels {
  readonly threads: number;
  /** Runs the list at this address; returns when every command has been done. */
  run(list: number): void;
  /** Runs it on the caller's thread alone, for measurements. */
  alone(list: number): void;
  /** Turns of assembly/limit.ts, on the caller's thread. */
  limit(turns: number): void;
  /** Packs a weight [N, K] at `from` for products, on the caller's thread. */
  packWeight(to: number, from: number, N: number, K: number): void;
  dispose(): void;
}

export class ThreadPool implements Kernels {
  readonly threads: number;
  readonly #kernel: Kernel;
  readonly #memory: WebAssembly.Memory;
  #disposed = false;

  private constructor(kernel: Kernel, memory: WebAssembly.Memory, threads: number) {
    this.#kernel = kernel;
    this.#memory = memory;
    this.threads = threads;
  }

  /** The memory must be new, and shared if `threads` > 1; a memory has one pool in its life. */
  static async create(
    runtime: Runtime,
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    threads: number,
  ): Promise<ThreadPool> {
    const { startThread } = runtime;
    if (threads > 1 && !startThread)
      throw new LimbeckError("THREAD_START", "this host starts no threads; ask for one", { where: runtime.name });
    const pool = new ThreadPool(instantiate(module, memory), memory, threads);
    const others = Array.from({ length: threads - 1 }, (_, i) =>
      startThread?.({ module, memory, ith: i + 1, nth: threads }),
    );
    const started = await Promise.allSettled(others);
    const refused = started.find((outcome) => outcome.status === "rejected");
    if (refused) {
      pool.dispose();
      throw new LimbeckError(
        "THREAD_START",
        `of ${threads} threads one did not start (${refused.reason instanceof Error ? refused.reason.message : refused.reason}); ask for fewer threads`,
        { where: runtime.name, cause: refused.reason },
      );
    }
    return pool;
  }

  run(list: number): void {
    const shared = words(this.#memory);
    if (this.#disposed) throw new LimbeckError("POOL_DISPOSED", "the threads have ended; make a new executor");
    const failed = failure(shared);
    if (failed) throw threadFailed(failed);
    if (this.threads > 1) {
      Atomics.store(shared, SYNC_LIST >> 2, list | 0);
      Atomics.add(shared, SYNC_WORK >> 2, 1);
      Atomics.notify(shared, SYNC_WORK >> 2);
    }
    try {
      this.#kernel.run(list, 0, this.threads, SYNC);
    } catch (error) {
      fail(shared, 0, error);
      throw threadFailed(failure(shared) as string, error);
    }
  }

  alone(list: number): void {
    this.#kernel.run(list, 0, 1, SYNC);
  }

  limit(turns: number): void {
    this.#kernel.limit(turns, 0.999, 0.001);
  }

  packWeight(to: number, from: number, N: number, K: number): void {
    this.#kernel.packWeight(to, from, N, K);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    const shared = words(this.#memory);
    Atomics.store(shared, SYNC_STOP >> 2, 1);
    Atomics.add(shared, SYNC_WORK >> 2, 1);
    Atomics.notify(shared, SYNC_WORK >> 2);
  }
}

function threadFailed(message: string, cause?: unknown): LimbeckError {
  return new LimbeckError("THREAD_FAILED", `a kernel stopped in ${message}; results are lost, make a new executor`, {
    cause,
  });
}
