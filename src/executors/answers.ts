// Waiting for a GPU. A lost device may leave a promise open for ever, so each wait also ends when the device fails. Firefox looks for
// answers every 100 ms only, or when something is submitted (its bug 1870699): while somebody waits, empty submits make it look. (Measured,
// Firefox 153 on two busy cores: a map takes 23 ms instead of 100. Chromium needs 0.4 ms with and without.)

import { LimbeckError } from "../errors.ts";

const NUDGE_MS = 5;
/** Firefox reports errors of a device that is gone up to half a second before it says so. The loss, the better reason, gets this long. */
const LOSS_MS = 1000;

export class Answers {
  readonly #queue: GPUQueue;
  readonly #waiting = new Set<(failure: unknown) => void>();
  #failure: LimbeckError | undefined;
  /** Ends the device in a moment; nothing is answered from here on. */
  #suspected: LimbeckError | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  readonly #end: (failure: LimbeckError) => void;

  /** `end` is told of an error that was no loss, and calls `fail`. */
  constructor(queue: GPUQueue, end: (failure: LimbeckError) => void) {
    this.#queue = queue;
    this.#end = end;
  }

  /** Throws what ended the device, once something did. */
  check(): void {
    const failure = this.#failure ?? this.#suspected;
    if (failure) throw failure;
  }

  /** An error which a loss may have caused. */
  suspect(failure: LimbeckError): void {
    if (this.#failure || this.#suspected) return;
    this.#suspected = failure;
    setTimeout(() => this.#end(failure), LOSS_MS);
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
    const answer = promise.catch((cause) => {
      const message = cause instanceof Error ? cause.message : String(cause);
      this.suspect(new LimbeckError("GPU_ERROR", `an answer failed: ${message}`, { cause }));
      return failed;
    });
    if (this.#failure) reject(this.#failure);
    this.#waiting.add(reject);
    this.#nudge();
    try {
      const found = await Promise.race([answer, failed]);
      return this.#suspected ? await failed : found;
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
