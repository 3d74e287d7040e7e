// How long a GPU takes for a pass: by its own timestamps where it has them, else by the clock until its answer comes.

const MAP_READ = 1;
const COPY_SRC = 4;
const COPY_DST = 8;
const QUERY_RESOLVE = 512;

export class Stopwatch {
  readonly #device: GPUDevice;
  readonly #queries: GPUQuerySet | undefined;
  /** Milliseconds that a measurement must last: browsers round timestamps, and answers take their time. */
  readonly least: number;

  constructor(device: GPUDevice) {
    this.#device = device;
    if (device.features.has("timestamp-query")) this.#queries = device.createQuerySet({ type: "timestamp", count: 2 });
    this.least = this.#queries ? 1 : 8;
  }

  /** Milliseconds of what `encode` puts into one pass. */
  async time(encode: (pass: GPUComputePassEncoder) => void): Promise<number> {
    const encoder = this.#device.createCommandEncoder();
    const querySet = this.#queries;
    const timestampWrites = querySet && { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
    const pass = encoder.beginComputePass(timestampWrites && { timestampWrites });
    encode(pass);
    pass.end();
    if (!querySet) {
      const start = performance.now();
      this.#device.queue.submit([encoder.finish()]);
      await this.#device.queue.onSubmittedWorkDone();
      return performance.now() - start;
    }
    const resolved = this.#device.createBuffer({ size: 16, usage: QUERY_RESOLVE | COPY_SRC });
    encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
    const [start, end] = new BigUint64Array(await readBuffer(this.#device, resolved, encoder));
    resolved.destroy();
    return Number(end - start) / 1e6;
  }

  /** The best of a few measurements, each of as many turns as it takes to be measured, in milliseconds a turn. */
  async best(rounds: number, encode: (pass: GPUComputePassEncoder) => void): Promise<number> {
    // The first turn may pay for what was never used before.
    await this.time(encode);
    let best = await this.time(encode);
    const turns = Math.ceil(this.least / Math.max(best, this.least / 64));
    for (let round = 0; round < rounds; round++) {
      const all = await this.time((pass) => {
        for (let i = 0; i < turns; i++) encode(pass);
      });
      best = Math.min(best, all / turns);
    }
    return best;
  }

  destroy(): void {
    this.#queries?.destroy();
  }
}

/** A copy of a buffer's bytes, after what the encoder holds. */
export async function readBuffer(
  device: GPUDevice,
  buffer: GPUBuffer,
  encoder = device.createCommandEncoder(),
): Promise<ArrayBuffer> {
  const staging = device.createBuffer({ size: buffer.size, usage: MAP_READ | COPY_DST });
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(MAP_READ);
  const bytes = staging.getMappedRange().slice(0);
  staging.destroy();
  return bytes;
}
