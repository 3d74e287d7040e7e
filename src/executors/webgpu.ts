// Runs Programs with the WGSL shaders. Every instruction's dispatches (`program/dispatch.ts`) become (pipeline, bind group, grid), made
// once a program and encoded anew for each run, because command buffers are single-use. Slots are buffers of one pool for all programs.

import { InputError, LimbeckError } from "../errors.ts";
import type { Program } from "../program/program.ts";
import { packedBytes, sizeOf, type Value } from "../program/value.ts";
import { type Adapter, type Feature, USE_WASM } from "./adapter.ts";
import { Answers } from "./answers.ts";
import { encodeTimed } from "./commandTimes.ts";
import { type Counters, noCounts } from "./counters.ts";
import { type Executor, type Loaded, type Numbers, outOfMemory, type Persistent } from "./executor.ts";
import { type Limits, requireLimits } from "./needs.ts";
import { type Costs, Pace } from "./pace.ts";
import { peakArithmetic, peakMemory } from "./peak.ts";
import { Pipelines } from "./pipelines.ts";
import type { Profile } from "./profile.ts";
import { Readback } from "./readback.ts";
import { type Bound, type Command, type Recording, record } from "./recording.ts";
import { tune } from "./tuning.ts";

// WebGPU's own numbers; the objects that name them are not global everywhere.
const COPY_SRC = 4;
const COPY_DST = 8;
const UNIFORM = 64;
const STORAGE = 128;

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
  /** Of each dispatch: how many workgroups, and milliseconds that they are believed to take, once it runs. */
  readonly workgroups: readonly number[];
  costs: Costs;
  commands: readonly Command[];
  /** For which buffers the commands were made. */
  generation: number;
}

/** Work in the order in which it was asked for. A run waits while two others are in flight, and all behind it wait too. */
interface Job {
  readonly kind: "run" | "read" | "other";
  readonly go: () => void;
  /** Who waits for it, should its turn never come. */
  readonly reject?: (failure: unknown) => void;
}

export interface WebgpuOptions {
  /** Who the device is, for messages. */
  readonly adapter?: string;
  /** The device is the user's: dispose leaves it alive. */
  readonly borrowed?: boolean;
  /** The GPU that the device came from: in Node the process crashes when it is collected while the device is in use or owes an answer. */
  readonly keep?: readonly unknown[];
  /** For each kind of matrix product the number of its tile; absent: the first, or what `create` finds. */
  readonly tiling?: readonly number[];
  /** Which features are used where the device has them; absent: all that limbeck knows. */
  readonly features?: readonly Feature[];
}

export class WebgpuExecutor implements Executor {
  readonly name = "webgpu";
  readonly adapter: string;
  readonly #device: GPUDevice;
  readonly #options: WebgpuOptions;
  readonly #counters = noCounts();
  readonly #pipelines: Pipelines;
  readonly #answers: Answers;
  readonly #readback: Readback;
  readonly #pace = new Pace();
  readonly #persistent = new Map<string, Persisted>();
  /** Buffers for slots, the largest first, and scratch of whichever instruction runs. */
  readonly #pool: GPUBuffer[] = [];
  #scratch: GPUBuffer;
  /** What is bound where an optional input is absent. */
  readonly #nothing: GPUBuffer;
  readonly #blocks = new Set<GPUBuffer>();
  readonly #jobs: Job[] = [];
  #inFlight = 0;
  #profile: Profile | undefined;
  /** The last times for the profile are here. */
  #timed: Promise<void> = Promise.resolve();
  /** Grows whenever a buffer is replaced, so that bind groups are made anew. */
  #generation = 0;
  /** Reads of this turn of the event loop are waiting to be sent. */
  #sending = false;
  readonly #onError = (event: GPUUncapturedErrorEvent) => {
    event.preventDefault();
    const { error } = event;
    // Its class is not global everywhere. How much there is no device tells.
    this.#answers.suspect(
      error.constructor.name === "GPUOutOfMemoryError"
        ? outOfMemory(`${this.adapter} has no room for ${this.memory().bytes} bytes in all (${error.message})`)
        : new LimbeckError("GPU_ERROR", `${this.adapter} reported an error: ${error.message}`),
    );
  };

  constructor(device: GPUDevice, options: WebgpuOptions = {}) {
    [this.#device, this.#options] = [device, options];
    this.adapter = options.adapter ?? "the given device";
    device.addEventListener("uncapturederror", this.#onError);
    device.lost.then(({ reason, message }) =>
      this.#fail(new LimbeckError("GPU_LOST", `${this.adapter} was lost (${reason || "unknown"}): ${message}`)),
    );
    this.#pipelines = new Pipelines(device, options.tiling, options.features);
    this.#answers = new Answers(device.queue, (failure) => this.#fail(failure));
    this.#readback = new Readback(device, this.#answers, this.#counters);
    this.#nothing = this.#buffer(0, STORAGE, "nothing");
    this.#scratch = this.#buffer(0, STORAGE, "scratch");
  }

  /** On the device of an adapter, with such limits and features as far as the adapter goes. */
  static async create(adapter: Adapter, limits?: Limits, features?: readonly Feature[]): Promise<WebgpuExecutor> {
    const { name, borrowed, keep } = adapter;
    const device = await adapter.device(limits, features);
    const executor = new WebgpuExecutor(device, { adapter: name, borrowed, keep, features });
    // A renderer on the CPU takes longer to compile the tiles than any of them saves.
    if (adapter.kind !== "software") await executor.tune();
    return executor;
  }

  /** Finds the fastest tiles of matrix products for what is loaded from now on. They change no bit. */
  async tune(): Promise<void> {
    this.#pipelines.tiling = await this.#answers.wait(tune(this.#device, this.#pipelines));
  }

  get features(): ReadonlySet<string> {
    return this.#pipelines.features;
  }

  /** From now on the time of every dispatch goes into the profile; runs take longer. */
  async profileInto(profile: Profile): Promise<void> {
    const device = this.#device;
    if (!device.features.has("timestamp-query"))
      throw new InputError(
        "GPU_FEATURE",
        `${this.adapter} runs without timestamp-query, by which kernels are timed${USE_WASM}`,
        { where: "--profile" },
      );
    const limits = async () => ({ flops: await peakArithmetic(device), bytes: await peakMemory(device) });
    profile.limits = await this.#answers.wait(limits());
    this.#profile = profile;
  }

  /** What was done so far. */
  get counters(): Readonly<Counters> {
    return { ...this.#counters, pipelines: this.#pipelines.size };
  }

  load(program: Program): LoadedProgram {
    this.#answers.check();
    requireLimits(program, this.adapter, this.#device.limits);
    const recording = record(program, this.#pipelines);
    const block = this.#buffer(recording.words.length * 4, UNIFORM | STORAGE | COPY_DST, program.name);
    this.#device.queue.writeBuffer(block, 0, Uint32Array.from(recording.words));
    this.#blocks.add(block);
    this.#do({ kind: "other", go: () => this.#prepare(recording) });
    const workgroups = recording.steps.map(({ dispatch: { grid } }) => grid[0] * grid[1] * grid[2]);
    return { program, recording, block, workgroups, costs: [], commands: [], generation: -1 };
  }

  unload(loaded: Loaded): void {
    const { block } = loaded as LoadedProgram;
    block.destroy();
    this.#blocks.delete(block);
  }

  write(value: Persistent, data: Numbers): void {
    this.#answers.check();
    if (data.length !== sizeOf(value))
      throw new LimbeckError("WRITE_SIZE", `${data.length} numbers were written to [${value.shape}]`, {
        where: value.name,
      });
    // A copy: the caller may change its array before the job's turn.
    const numbers = value.dtype === "u32" ? Uint32Array.from(data) : Float32Array.from(data);
    const go = () => {
      this.#device.queue.writeBuffer(this.#place(value).buffer, 0, numbers);
      this.#counters.bytesToDevice += numbers.byteLength;
    };
    this.#do({ kind: "other", go });
  }

  run(loaded: Loaded): void {
    this.#answers.check();
    const program = loaded as LoadedProgram;
    const go = () => {
      // Values of another shape may have been written since the program was loaded.
      this.#prepare(program.recording);
      if (program.generation !== this.#generation) this.#bind(program);
      // At the first run, not at the load: all programs of a training are loaded before anything was timed.
      if (program.costs.length === 0) program.costs = this.#pace.guess(program.workgroups);
      this.#inFlight++;
      this.#submit(program)
        .then(() => {
          this.#inFlight--;
          this.#next();
        })
        .catch((failure) => this.#fail(failure));
    };
    this.#do({ kind: "run", go });
  }

  async read(value: Persistent, later = false): Promise<Numbers> {
    this.#answers.check();
    const bytes = this.#ask(async () => this.#readback.copy(this.#known(value), sizeOf(value) * 4));
    if (!later) this.#send();
    return value.dtype === "u32" ? new Uint32Array(await bytes) : new Float32Array(await bytes);
  }

  async finished(): Promise<void> {
    this.#answers.check();
    await this.#ask(() => this.#answers.wait(this.#device.queue.onSubmittedWorkDone()));
    await this.#timed;
  }

  release(name: string): void {
    const go = () => {
      this.#persistent.get(name)?.buffer.destroy();
      if (this.#persistent.delete(name)) this.#generation++;
    };
    this.#do({ kind: "other", go });
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

  #fail(failure: LimbeckError): void {
    this.#answers.fail(failure);
    for (const { reject } of this.#jobs) reject?.(failure);
    this.#jobs.length = 0;
    this.#readback.fail(failure);
  }

  #do(job: Job): void {
    this.#jobs.push(job);
    this.#next();
  }

  #next(): void {
    while (this.#jobs.length > 0 && !(this.#jobs[0].kind === "run" && this.#inFlight >= RUNS_IN_FLIGHT)) {
      const { kind, go } = this.#jobs.shift() as Job;
      if (kind !== "read") this.#readback.encode();
      go();
    }
  }

  /** A job that answers. */
  #ask<T>(go: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const answer = async () => go();
      this.#do({ kind: "read", go: () => answer().then(resolve, reject), reject });
    });
  }

  /** Reads of one turn of the event loop come together. */
  #send(): void {
    if (this.#sending) return;
    this.#sending = true;
    queueMicrotask(() => {
      this.#sending = false;
      this.#do({ kind: "read", go: () => this.#readback.send() });
    });
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
      const size = packedBytes(bound);
      const offset = recording.constants.get(bound);
      return offset === undefined ? { buffer: bufferOf(bound), size } : { buffer: block, offset, size };
    };
    loaded.commands = recording.steps.map(({ dispatch, bound, pipeline, parameters, work }) => ({
      ...{ entry: dispatch.entry, work, pipeline, grid: dispatch.grid },
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

  /** Resolves when the commands are done. */
  async #submit({ commands, costs, workgroups }: LoadedProgram): Promise<void> {
    const { queue } = this.#device;
    const done: Promise<void>[] = [];
    let first = 0;
    for (const end of this.#pace.ends(costs)) {
      const encoder = this.#device.createCommandEncoder();
      const collect = this.#encode(encoder, commands.slice(first, end));
      queue.submit([encoder.finish()]);
      this.#counters.submits++;
      if (collect) {
        this.#timed = this.#answers.wait(collect());
        done.push(this.#timed);
      }
      const [from, began] = [first, performance.now()];
      const timed = () => this.#pace.timed(costs, workgroups, from, end, began);
      done.push(this.#answers.wait(queue.onSubmittedWorkDone()).then(timed));
      first = end;
    }
    this.#counters.runs++;
    this.#counters.dispatches += commands.length;
    await Promise.all(done);
  }

  /** All commands in one pass; for a profile each in its own, whose times come with what is returned. */
  #encode(encoder: GPUCommandEncoder, commands: readonly Command[]): (() => Promise<void>) | undefined {
    this.#counters.passes += this.#profile ? commands.length : 1;
    if (this.#profile) return encodeTimed(this.#device, encoder, commands, this.#profile);
    const pass = encoder.beginComputePass();
    for (const { pipeline, group, grid } of commands) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...grid);
    }
    pass.end();
    return undefined;
  }

  /** The buffer of a value that is read. */
  #known(value: Persistent): GPUBuffer {
    const known = this.#persistent.get(value.name);
    if (!known) throw new LimbeckError("READ_UNKNOWN", "nothing was written under this name", { where: value.name });
    if (known.size !== sizeOf(value) * 4)
      throw new LimbeckError("READ_SIZE", `[${value.shape}] was asked for, ${known.size / 4} numbers are there`, {
        where: value.name,
      });
    return known.buffer;
  }
}
