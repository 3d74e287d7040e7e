// Which tile of the matrix product a device runs fastest, measured on it. All tiles give the same bits, which is checked too, so what is
// measured, and what disturbs the measurement, decides about time alone.

import { cut, type Product, TYPICAL } from "../../shaders/tiles.ts";
import type { Dispatch } from "../program/dispatch.ts";
import type { Access, Pipelines } from "./pipelines.ts";
import { readBuffer, Stopwatch } from "./stopwatch.ts";

const COPY_SRC = 4;
const COPY_DST = 8;
const UNIFORM = 64;
const STORAGE = 128;

const SLOWEST = 4;
const ROUNDS = 2;

/** Out, a, b, and no bias. */
const ACCESS: readonly Access[] = ["storage", "read-only-storage", "read-only-storage", "read-only-storage"];

/** Sizes that no tile divides. */
const CHECKED = { M: 148, N: 156, K: 100 };
const ORIENTATIONS = [
  { transposeA: false, transposeB: true },
  { transposeA: false, transposeB: false },
  { transposeA: true, transposeB: false },
];

/**
 * For each kind of product the number of the variant to take; none where nothing is to be gained or the device cannot be measured.
 * `slowest`: milliseconds for the first product from which on tiles are not tried: that is no GPU, or one whose answers come late.
 */
export async function tune(
  device: GPUDevice,
  pipelines: Pipelines,
  { products = TYPICAL, slowest = SLOWEST } = {},
): Promise<readonly number[]> {
  device.pushErrorScope("validation");
  const tiling: number[] = [];
  for (const product of products) {
    const bench = new Bench(device, pipelines, product);
    const times: number[] = [];
    for (const variant of bench.variants) {
      times.push(await bench.time(variant, ROUNDS));
      if (times[0] > slowest && tiling.length === 0) break;
    }
    bench.destroy();
    if (times.length < bench.variants.length) break;
    tiling.push(times.indexOf(Math.min(...times)));
  }
  const differing = await differingFromFirst(device, pipelines, new Set(tiling));
  if (await device.popErrorScope()) return [];
  return tiling.map((number) => (differing.has(number) ? 0 : number));
}

/** Which of these variants do not give the first one's bits on this device. */
export async function differingFromFirst(
  device: GPUDevice,
  pipelines: Pipelines,
  numbers: ReadonlySet<number>,
): Promise<ReadonlySet<number>> {
  const differing = new Set<number>();
  for (const orientation of numbers.size > 0 ? ORIENTATIONS : []) {
    const bench = new Bench(device, pipelines, { ...CHECKED, ...orientation });
    const expected = await bench.bits(bench.variants[0]);
    for (const number of numbers) if ((await bench.bits(bench.variants[number])) !== expected) differing.add(number);
    bench.destroy();
  }
  return differing;
}

/** One product with its operands, run apart from any program. */
export class Bench {
  readonly #device: GPUDevice;
  readonly #pipelines: Pipelines;
  readonly #buffers: readonly GPUBuffer[];
  readonly #stopwatch: Stopwatch;
  readonly variants: readonly Dispatch[];
  /** The one that a program would run. */
  readonly chosen: Dispatch;

  constructor(device: GPUDevice, pipelines: Pipelines, product: Product) {
    this.#device = device;
    this.#pipelines = pipelines;
    this.#stopwatch = new Stopwatch(device);
    const { M, N, K } = product;
    const { parts, parameters = [], ...tiled } = cut(product);
    const dispatch: Dispatch = { entry: "matmul", ...tiled };
    this.variants = (tiled.variants ?? []).map((variant) => ({ ...dispatch, ...variant }));
    this.chosen = pipelines.chosen(dispatch);
    const made = (bytes: number, usage: number) => device.createBuffer({ size: bytes, usage: usage | COPY_DST });
    const filled = (numbers: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>, usage: number) => {
      const buffer = made(numbers.byteLength, usage);
      device.queue.writeBuffer(buffer, 0, numbers);
      return buffer;
    };
    // Numbers whose sums are rounded at every step.
    const noise = (n: number, step: number) =>
      Float32Array.from({ length: n }, (_, i) => ((i * step) % 1009) / 1009 - 0.5);
    this.#buffers = [
      filled(Uint32Array.of(0, 0, ...parameters), UNIFORM),
      made(4 * M * N * parts, STORAGE | COPY_SRC),
      filled(noise(M * K, 379), STORAGE),
      filled(noise(K * N, 613), STORAGE),
      made(16, STORAGE),
    ];
  }

  /** Milliseconds, the best of a few rounds; infinitely many when the device does not take the variant. */
  async time(variant: Dispatch, rounds: number): Promise<number> {
    const encode = await this.#encoder(variant).catch(() => undefined);
    return encode ? this.#stopwatch.best(rounds, encode) : Number.POSITIVE_INFINITY;
  }

  /** The product's bits, to be compared. */
  async bits(variant: Dispatch): Promise<string> {
    await this.#stopwatch.time(await this.#encoder(variant));
    return new Uint32Array(await readBuffer(this.#device, this.#buffers[1])).join();
  }

  destroy(): void {
    for (const buffer of this.#buffers) buffer.destroy();
    this.#stopwatch.destroy();
  }

  async #encoder({ entry, head, grid }: Dispatch): Promise<(pass: GPUComputePassEncoder) => void> {
    const pipeline = await this.#pipelines.compile(entry, ACCESS, head);
    const group = this.#device.createBindGroup({
      layout: this.#pipelines.layoutOf(pipeline),
      entries: this.#buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    return (pass) => {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...grid);
    };
  }
}
