// Runs Programs with the WGSL shaders. Every instruction's dispatches (`program/dispatch.ts`) become (pipeline, bind group, grid), made
// once a program and encoded anew for each run, because command buffers are single-use. Slots are buffers of one pool for all programs.

import { InputError, LimbeckError } from "../errors.ts";
import type { Program } from "../program/program.ts";
import { sizeOf, type Value } from "../program/value.ts";
import type { Executor, Loaded, Numbers, Persistent } from "./executor.ts";
import { Pipelines } from "./pipelines.ts";
import { type Bound, type Command, type Recording, record } from "./recording.ts";

// WebGPU's own numbers; the objects that name them are not global everywhere.
const MAP_READ = 1;
const COPY_SRC = 4;
const COPY_DST = 8;
const UNIFORM = 64;
const STORAGE = 128;

/** A submit must end before a watchdog (0.5 to 2 s) takes the device for hung. */
const DISPATCHES_PER_SUBMIT = 128;
const RUNS_IN_FLIGHT = 2;

interface Persisted {
  readonly buffer: GPUBuffer;
  /** Bytes of the value. */
  readonly size: number;
}

/** A loaded program with its buffers. */
interface LoadedProgram extends Loaded {
  readonly recording: Recording;
  readonly block: GPUBuffer;
  commands: readonly Command[];
  /** For which buffers the commands were made. */
  generation: number;
}

/** Work in the order in which it was asked for. A run waits while two others are in flight, and all behind it wait too. */
interface Job {
  readonly isRun: boolean;
  readonly go: () => void;
}

export interface WebgpuOptions {
  /** Who the device is, for messages. */
  readonly adapter?: string;
  /** The device is the user's: dispose leaves it alive. */
  readonly borrowed?: boolean;
  /** The GPU that the device came from: in Node the process crashes when it is collected while the device is in use or owes an answer. */
  readonly keep?: readonly unknown[];
}

export class WebgpuExecutor implements Executor {
  readonly name = "webgpu";
  readonly adapter: string;
  readonly #device: GPUDevice;
  readonly #options: WebgpuOptions;
  readonly #pipelines: Pipelines;
  readonly #persistent = new Map<string, Persisted>();
  /** Buffers for slots, the largest first, and scratch of whichever instruction runs. */
  readonly #pool: GPUBuffer[] = [];
  #scratch: GPUBuffer;
  /** What is bound where an optional input is absent. */
  readonly #nothing: GPUBuffer;
  readonly #blocks: GPUBuffer[] = [];
  readonly #jobs: Job[] = [];
  #inFlight = 0;
  /** Grows whenever a buffer is replaced, so that bind groups are made anew. */
  #generation = 0;
  /** The first error of the device; nothing runs after it. */
  #failure: LimbeckError | undefined;
  /** Who waits for an answer of the device, and must hear when none will come. */
  readonly #waiting = new Set<(failure: unknown) => void>();
  readonly #onError = (event: GPUUncapturedErrorEvent) => {
    event.preventDefault();
    this.#fail(new LimbeckError("GPU_ERROR", `${this.adapter} reported an error: ${event.error.message}`));
  };

  constructor(device: GPUDevice, options: WebgpuOptions = {}) {
    this.#device = device;
    this.#options = options;
    this.adapter = options.adapter ?? "the given device";
    device.addEventListener("uncapturederror", this.#onError);
    device.lost.then(({ reason, message }) =>
      this.#fail(new LimbeckError("GPU_LOST", `${this.adapter} was lost (${reason || "unknown"}): ${message}`)),
    );
    this.#pipelines = new Pipelines(device);
    this.#nothing = this.#buffer(0, STORAGE, "nothing");
    this.#scratch = this.#buffer(0, STORAGE, "scratch");
  }

  /** A device of the best adapter, with WebGPU's default limits. */
  static async create(gpu: GPU): Promise<WebgpuExecutor> {
    const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter)
      throw new InputError(
        "NO_ADAPTER",
        "this machine shows no WebGPU adapter: it has no GPU, or no driver that WebGPU accepts; use wasm.",
        { where: "webgpu" },
      );
    const { description, vendor, architecture, device } = adapter.info;
    const name = description || [vendor, architecture, device].filter(Boolean).join(" ") || "an adapter without a name";
    return new WebgpuExecutor(await adapter.requestDevice(), { adapter: name, keep: [gpu, adapter] });
  }

  load(program: Program): LoadedProgram {
    this.#check();
    const recording = record(program, this.#pipelines, { adapter: this.adapter, limits: this.#device.limits });
    const block = this.#buffer(recording.words.length * 4, UNIFORM | STORAGE | COPY_DST, program.name);
    this.#device.queue.writeBuffer(block, 0, Uint32Array.from(recording.words));
    this.#blocks.push(block);
    this.#do(false, () => this.#prepare(recording));
    return { program, recording, block, commands: [], generation: -1 };
  }

  write(value: Persistent, data: Numbers): void {
    this.#check();
    if (data.length !== sizeOf(value))
      throw new LimbeckError("WRITE_SIZE", `${data.length} numbers were written to [${value.shape}]`, {
        where: value.name,
      });
    // A copy: the caller may change its array before the job's turn.
    const numbers = value.dtype === "u32" ? Uint32Array.from(data) : Float32Array.from(data);
    this.#do(false, () => this.#device.queue.writeBuffer(this.#place(value).buffer, 0, numbers));
  }

  run(loaded: Loaded): void {
    this.#check();
    const program = loaded as LoadedProgram;
    this.#do(true, () => {
      // Values of another shape may have been written since the program was loaded.
      this.#prepare(program.recording);
      if (program.generation !== this.#generation) this.#bind(program);
      this.#submit(program.commands);
      this.#inFlight++;
      const done = () => {
        this.#inFlight--;
        this.#next();
      };
      this.#device.queue
        .onSubmittedWorkDone()
        .then(done, done)
        .catch((error) => this.#fail(error));
    });
  }

  async read(value: Persistent): Promise<Numbers> {
    this.#check();
    const staging = await this.#answer(
      new Promise<GPUBuffer>((resolve, reject) =>
        this.#do(false, () => {
          try {
            resolve(this.#stage(value));
          } catch (error) {
            reject(error);
          }
        }),
      ),
    );
    await this.#answer(staging.mapAsync(MAP_READ));
    this.#check();
    const bytes = staging.getMappedRange().slice(0);
    staging.destroy();
    return value.dtype === "u32" ? new Uint32Array(bytes) : new Float32Array(bytes);
  }

  release(name: string): void {
    this.#do(false, () => {
      this.#persistent.get(name)?.buffer.destroy();
      if (this.#persistent.delete(name)) this.#generation++;
    });
  }

  memory(): { bytes: number; persistent: number } {
    const total = (buffers: readonly GPUBuffer[]) => buffers.reduce((sum, { size }) => sum + size, 0);
    return { bytes: total(this.#buffers()), persistent: total(this.#buffers().slice(0, this.#persistent.size)) };
  }

  dispose(): void {
    this.#device.removeEventListener("uncapturederror", this.#onError);
    this.#fail(new LimbeckError("DISPOSED", "this executor was disposed"));
    for (const buffer of this.#buffers()) buffer.destroy();
    this.#persistent.clear();
    if (!this.#options.borrowed) this.#device.destroy();
  }

  /** All buffers; those of persistent values come first. */
  #buffers(): GPUBuffer[] {
    const persistent = [...this.#persistent.values()].map(({ buffer }) => buffer);
    return [...persistent, ...this.#pool, ...this.#blocks, this.#scratch, this.#nothing];
  }

  #check(): void {
    if (this.#failure) throw this.#failure;
  }

  #fail(failure: LimbeckError): void {
    this.#failure ??= failure;
    this.#jobs.length = 0;
    for (const reject of this.#waiting) reject(this.#failure);
  }

  /** What the device answers, or its failure: a lost device may leave a promise open for ever. */
  #answer<T>(promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.add(reject);
      promise.then(resolve, (cause) => reject(this.#failure ?? cause)).finally(() => this.#waiting.delete(reject));
    });
  }

  #do(isRun: boolean, go: () => void): void {
    this.#jobs.push({ isRun, go });
    this.#next();
  }

  #next(): void {
    while (this.#jobs.length > 0 && !(this.#jobs[0].isRun && this.#inFlight >= RUNS_IN_FLIGHT))
      (this.#jobs.shift() as Job).go();
  }

  #buffer(bytes: number, usage: number, label: string): GPUBuffer {
    return this.#device.createBuffer({ size: Math.max(16, Math.ceil(bytes / 16) * 16), usage, label });
  }

  /**
   * The buffer of an input or state, made (zeros) when it is new or too small. A batch of another shape lies in the same buffers, so
   * that bind groups last.
   */
  #place(value: Persistent): Persisted {
    const size = sizeOf(value) * 4;
    const known = this.#persistent.get(value.name);
    if (known?.size === size) return known;
    let buffer = known?.buffer;
    if (!buffer || buffer.size < size) {
      buffer?.destroy();
      this.#generation++;
      buffer = this.#buffer(size, STORAGE | COPY_SRC | COPY_DST, value.name);
    }
    const placed = { buffer, size };
    this.#persistent.set(value.name, placed);
    return placed;
  }

  #prepare({ program, ranked, plan, scratch }: Recording): void {
    for (const value of program.values) if (value.storage === "input" || value.storage === "state") this.#place(value);
    const grown = (old: GPUBuffer | undefined, bytes: number, label: string): GPUBuffer => {
      if (old && old.size >= bytes) return old;
      old?.destroy();
      this.#generation++;
      return this.#buffer(bytes, STORAGE, label);
    };
    ranked.forEach((slot, rank) => {
      this.#pool[rank] = grown(this.#pool[rank], plan.slots[slot], `slot ${rank}`);
    });
    this.#scratch = grown(this.#scratch, scratch, "scratch");
  }

  #bind(loaded: LoadedProgram): void {
    const { recording, block } = loaded;
    const slots = new Map(recording.ranked.map((slot, rank) => [slot, this.#pool[rank]]));
    const bufferOf = (value: Value): GPUBuffer =>
      slots.get(recording.plan.slotOf.get(value) ?? -1) ?? this.#place(value).buffer;
    const resource = (bound: Bound): GPUBufferBinding => {
      if (bound === null) return { buffer: this.#nothing };
      if (bound === "scratch") return { buffer: this.#scratch };
      const size = sizeOf(bound) * 4;
      const offset = recording.constants.get(bound);
      return offset === undefined ? { buffer: bufferOf(bound), size } : { buffer: block, offset, size };
    };
    loaded.commands = recording.steps.map(({ dispatch, bound, pipeline, parameters }) => ({
      pipeline,
      grid: dispatch.grid,
      group: this.#device.createBindGroup({
        label: dispatch.entry,
        layout: this.#pipelines.layoutOf(pipeline),
        entries: [
          { binding: 0, resource: { buffer: block, ...parameters } },
          ...bound.map((value, i) => ({ binding: i + 1, resource: resource(value) })),
        ],
      }),
    }));
    loaded.generation = this.#generation;
  }

  #submit(commands: readonly Command[]): void {
    for (let first = 0; first < commands.length; first += DISPATCHES_PER_SUBMIT) {
      const encoder = this.#device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      for (const { pipeline, group, grid } of commands.slice(first, first + DISPATCHES_PER_SUBMIT)) {
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(...grid);
      }
      pass.end();
      this.#device.queue.submit([encoder.finish()]);
    }
  }

  /** A copy of a value that can be mapped, on its way. */
  #stage(value: Persistent): GPUBuffer {
    const known = this.#persistent.get(value.name);
    if (!known) throw new LimbeckError("READ_UNKNOWN", "nothing was written under this name", { where: value.name });
    if (known.size !== sizeOf(value) * 4)
      throw new LimbeckError("READ_SIZE", `[${value.shape}] was asked for, ${known.size / 4} numbers are there`, {
        where: value.name,
      });
    const staging = this.#device.createBuffer({ size: known.size, usage: MAP_READ | COPY_DST, label: value.name });
    const encoder = this.#device.createCommandEncoder();
    encoder.copyBufferToBuffer(known.buffer, 0, staging, 0, known.size);
    this.#device.queue.submit([encoder.finish()]);
    return staging;
  }
}
