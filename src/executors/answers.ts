// Waiting for a GPU. A lost device may leave a promise open for ever, so each wait also ends when the device fails. Firefox looks for
// answers every 100 ms only, or when something is submitted (its bug 1870699): while somebody waits, empty submits make it look.

import { LimbeckError } from "../errors.ts";

const NUDGE_MS = 5;

export class Answers {
  readonly #queue: GPUQueue;
  readonly #waiting = new Set<(failure: unknown) => void>();
  #failure: LimbeckError | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(queue: GPUQueue) {
    this.#queue = queue;
  }

  /** Throws what ended the device, once something did. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  /** The first failure stays; whoever waits hears of it. */
  fail(failure: LimbeckError): void {
    this.#failure ??= failure;
    for (const reject of this.#waiting) reject(this.#failure);
    this.#waiting.clear();
    clearTimeout(this.#timer);
  }

  /** What the device answers, or its failure. An answer that fails is a failure of the device. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    let reject: (failure: unknown) => void = () => {};
    const failed = new Promise<never>((_, no) => {
      reject = no;
    });
    // A lost device fails its maps before or after it says that it is lost: that is the better reason, so it gets a moment.
    const answer = promise.catch((cause) => {
      const message = cause instanceof Error ? cause.message : String(cause);
      setTimeout(() => this.fail(new LimbeckError("GPU_ERROR", `an answer failed: ${message}`, { cause })), 0);
      return failed;
    });
    if (this.#failure) reject(this.#failure);
    this.#waiting.add(reject);
    this.#nudge();
    try {
      return await Promise.race([answer, failed]);
    } finally {
      this.#waiting.delete(reject);
    }
  }

  #nudge(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#waiting.size === 0) return;
      this.#queue.submit([]);
      this.#nudge();
    }, NUDGE_MS);
  }
}
