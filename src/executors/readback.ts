// Numbers on their way to the host. A read copies its value into a staging buffer in the queue's order; small ones share a buffer, so
// that one map brings them all: those that are asked for together, and those that may come later.

import type { Answers } from "./answers.ts";
import type { Counters } from "./counters.ts";

// WebGPU's own numbers; the objects that name them are not global everywhere.
const MAP_READ = 1;
const COPY_DST = 8;

/** Bytes of a shared buffer. A larger value has a buffer of its own. */
const SHARED = 16_384;

interface Copy {
  readonly from: GPUBuffer;
  readonly offset: number;
  readonly size: number;
  readonly resolve: (bytes: ArrayBuffer) => void;
  readonly reject: (failure: unknown) => void;
}

export class Readback {
  readonly #device: GPUDevice;
  readonly #answers: Answers;
  readonly #counters: Counters;
  /** The buffer that takes copies, how far it is filled, and its copies, of which the last are still to be encoded. */
  #staging: GPUBuffer | undefined;
  #filled = 0;
  #copies: Copy[] = [];
  #encoded = 0;

  constructor(device: GPUDevice, answers: Answers, counters: Counters) {
    this.#device = device;
    this.#answers = answers;
    this.#counters = counters;
  }

  /** The bytes of a buffer as they are when the queue comes to this place. They come after `send`. */
  copy(from: GPUBuffer, size: number): Promise<ArrayBuffer> {
    return new Promise((resolve, reject) => {
      if (this.#staging && this.#filled + size > this.#staging.size) this.send();
      this.#staging ??= this.#device.createBuffer({
        ...{ size: Math.max(SHARED, size), usage: MAP_READ | COPY_DST, label: "staging" },
      });
      this.#copies.push({ from, offset: this.#filled, size, resolve, reject });
      this.#filled += size;
    });
  }

  /** Must come before whatever changes the buffers that were asked for. */
  encode(): void {
    if (!this.#staging || this.#encoded === this.#copies.length) return;
    const encoder = this.#device.createCommandEncoder();
    for (const { from, offset, size } of this.#copies.slice(this.#encoded))
      encoder.copyBufferToBuffer(from, 0, this.#staging, offset, size);
    this.#device.queue.submit([encoder.finish()]);
    this.#counters.submits++;
    this.#encoded = this.#copies.length;
  }

  /** Brings everything that was copied. */
  send(): void {
    this.encode();
    const [staging, copies, bytes] = [this.#staging, this.#copies, this.#filled];
    if (!staging) return;
    [this.#staging, this.#copies, this.#filled, this.#encoded] = [undefined, [], 0, 0];
    this.#counters.maps++;
    this.#answers
      .wait(staging.mapAsync(MAP_READ, 0, bytes))
      .then(() => {
        this.#answers.check();
        const range = staging.getMappedRange(0, bytes);
        this.#counters.bytesToHost += bytes;
        for (const { offset, size, resolve } of copies) resolve(range.slice(offset, offset + size));
      })
      .catch((failure) => {
        for (const { reject } of copies) reject(failure);
      })
      .finally(() => staging.destroy());
  }

  /** Nothing that was not sent will come. */
  fail(failure: unknown): void {
    for (const { reject } of this.#copies) reject(failure);
    this.#staging?.destroy();
    [this.#staging, this.#copies, this.#filled, this.#encoded] = [undefined, [], 0, 0];
  }
}
