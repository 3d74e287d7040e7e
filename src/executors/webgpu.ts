// Runs Programs with the WGSL shaders. Every instruction's dispatches (`program/dispatch.ts`) become (pipeline, bind group, grid), made
// once a program and encoded anew for each run, because command buffers are single-use. Slots are buffers of one pool for all programs.

import { LimbeckError } from "../errors.ts";
import type { Dispatch } from "../program/dispatch.ts";
import { type Plan, plan } from "../program/plan.ts";
import type { Instruction, Program } from "../program/program.ts";
import { sizeOf, type Value } from "../program/value.ts";
import type { Executor, Loaded, Numbers, Persistent } from "./executor.ts";
import { type Access, Pipelines } from "./pipelines.ts";

// WebGPU's own numbers; the objects that name them are not global everywhere.
const MAP_READ = 1;
const COPY_SRC = 4;
const COPY_DST = 8;
const UNIFORM = 64;
const STORAGE = 128;

/** Where a binding may begin inside a buffer: the largest value that the limits may have. */
const ALIGNMENT = 256;
/** Enough for whatever absent inputs are declared as; nothing reads it. */
const NOTHING = 16;
/** A submit must end before a watchdog (0.5 to 2 s) takes the device for hung. */
const DISPATCHES_PER_SUBMIT = 128;
const RUNS_IN_FLIGHT = 2;

interface Persisted {
  readonly buffer: GPUBuffer;
  /** Bytes of the value. */
  readonly size: number;
}

/** One dispatch of a program with what it needs, before buffers are known. */
interface Step {
  readonly instruction: Instruction;
  readonly dispatch: Dispatch;
  readonly bind: readonly string[];
  readonly pipeline: GPUComputePipeline;
  /** Where its parameters begin in the program's block. */
  readonly parameters: { offset: number; size: number };
}

interface Command {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly grid: readonly [number, number, number];
}

class Recording implements Loaded {
  commands: readonly Command[] = [];
  /** For which buffers the commands were made. */
  generation = -1;

  constructor(
    readonly program: Program,
    readonly plan: Plan,
    readonly steps: readonly Step[],
    /** Parameters and constants: read only, so they may share a buffer. */
    readonly block: GPUBuffer,
    readonly constants: ReadonlyMap<Value, number>,
    readonly scratch: number,
  ) {}
}

/** Work in the order in which it was asked for. A run waits until at most one other is in flight, and all behind it wait too. */
interface Job {
  readonly isRun: boolean;
  readonly go: () => void;
}

export interface WebgpuOptions {
  /** Who the device is, for messages. */
  readonly adapter?: string;
  /** The device is the user's: dispose leaves it alive. */
  readonly borrowed?: boolean;
  /** Objects that the device came from: Dawn's device dies with them. */
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
  readonly #nothing: GPUBuffer;
  readonly #blocks: GPUBuffer[] = [];
  readonly #jobs: Job[] = [];
  #inFlight = 0;
  /** Grows whenever a buffer is replaced, so that bind groups are made anew. */
  #generation = 0;
  /** The first error of the device; nothing runs after it. */
  #failure: LimbeckError | undefined;
  /** Never settles unless the device fails: what every wait is raced against. */
  readonly #failed: Promise<never>;
  #fail: (failure: LimbeckError) => void = () => undefined;
  readonly #onError = (event: GPUUncapturedErrorEvent) => {
    event.preventDefault();
    this.#fail(new LimbeckError("GPU_ERROR", `${this.adapter} reported an error: ${event.error.message}`));
  };

  constructor(device: GPUDevice, options: WebgpuOptions = {}) {
    this.#device = device;
    this.#options = options;
    this.adapter = options.adapter ?? "the given device";
    this.#failed = new Promise((_, reject) => {
      this.#fail = (failure) => {
        this.#failure ??= failure;
        reject(this.#failure);
        for (const { go } of this.#jobs.splice(0)) go();
      };
    });
    // Whoever waits hears of it; if nobody does, the next call throws it.
    this.#failed.catch(() => undefined);
    device.addEventListener("uncapturederror", this.#onError);
    device.lost.then(({ reason, message }) =>
      this.#fail(new LimbeckError("GPU_LOST", `${this.adapter} was lost (${reason || "unknown"}): ${message}`)),
    );
    this.#pipelines = new Pipelines(device);
    this.#nothing = this.#buffer(NOTHING, STORAGE, "nothing");
    this.#scratch = this.#buffer(NOTHING, STORAGE, "scratch");
  }

  /** A device of the best adapter, with WebGPU's default limits. */
  static async create(gpu: GPU): Promise<WebgpuExecutor> {
    const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter)
      throw new LimbeckError(
        "NO_ADAPTER",
        "this machine shows no WebGPU adapter: no GPU, or no driver that WebGPU accepts",
      );
    const { description, vendor, architecture, device } = adapter.info;
    const name = description || [vendor, architecture, device].filter(Boolean).join(" ");
    const keep = [gpu, adapter];
    return new WebgpuExecutor(await adapter.requestDevice(), { adapter: name || "an adapter without a name", keep });
  }

  load(program: Program): Recording {
    this.#check();
    const words: number[] = [];
    const append = (numbers: readonly number[]): number => {
      const offset = words.length * 4;
      words.push(...numbers);
      while ((words.length * 4) % ALIGNMENT !== 0) words.push(0);
      return offset;
    };
    const constants = new Map<Value, number>();
    for (const value of program.values) {
      this.#fits(value);
      if (value.storage === "constant")
        constants.set(
          value,
          append(value.dtype === "u32" ? value.data! : [...new Uint32Array(Float32Array.from(value.data!).buffer)]),
        );
    }
    const steps = program.instructions.flatMap((instruction) => {
      const { op, dims, attributes, inputs, accumulate } = instruction;
      if (accumulate && !op.accumulates)
        throw new LimbeckError("UNSUPPORTED_OP", `the shader of ${op.name} cannot add to what its output holds`);
      return op.dispatches(dims, attributes, instruction).map((dispatch): Step => {
        const most = this.#device.limits.maxComputeWorkgroupsPerDimension;
        if (dispatch.grid.some((n) => n > most || n < 1))
          throw new LimbeckError(
            "GPU_LIMIT",
            `${op.name} needs ${dispatch.grid.join(" × ")} workgroups, ${this.adapter} has 1 to ${most} per dimension`,
          );
        const bind = dispatch.bind ?? ["out", ...Object.keys(op.inputs)];
        const present = bind.reduce((bits, name, i) => (this.#bound(instruction, name) ? bits | (2 << i) : bits), 0);
        const own = dispatch.parameters ?? op.parameters(dims, attributes, inputs);
        const parameters = [Number(accumulate), present, ...own];
        const access = bind.map(
          (name): Access =>
            name === "out" || name === "scratch" || op.writes?.includes(name) ? "storage" : "read-only-storage",
        );
        const pipeline = this.#pipelines.get(dispatch.entry, access);
        return {
          ...{ instruction, dispatch, bind, pipeline },
          parameters: { offset: append(parameters), size: parameters.length * 4 },
        };
      });
    });
    const planned = plan(program);
    const scratch = Math.max(0, ...steps.map(({ dispatch }) => dispatch.scratch ?? 0));
    const block = this.#buffer(Math.max(ALIGNMENT, words.length * 4), UNIFORM | STORAGE | COPY_DST, program.name);
    this.#device.queue.writeBuffer(block, 0, Uint32Array.from(words));
    this.#blocks.push(block);
    const recording = new Recording(program, planned, steps, block, constants, scratch);
    this.#do(false, () => this.#prepare(recording));
    return recording;
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
    const recording = loaded as Recording;
    this.#do(true, () => {
      // Values of another shape may have been written since the program was loaded.
      this.#prepare(recording);
      if (recording.generation !== this.#generation) this.#bind(recording);
      this.#submit(recording.commands);
      this.#inFlight++;
      const done = () => {
        this.#inFlight--;
        this.#next();
      };
      this.#device.queue.onSubmittedWorkDone().then(done, done);
    });
  }

  async read(value: Persistent): Promise<Numbers> {
    this.#check();
    const staging = new Promise<GPUBuffer>((resolve, reject) => {
      this.#do(false, () => {
        try {
          this.#check();
          resolve(this.#stage(value));
        } catch (error) {
          reject(error);
        }
      });
    });
    const buffer = await Promise.race([staging, this.#failed]);
    await Promise.race([buffer.mapAsync(MAP_READ).catch((cause) => this.#lost(cause)), this.#failed]);
    this.#check();
    const bytes = buffer.getMappedRange().slice(0);
    buffer.destroy();
    return value.dtype === "u32" ? new Uint32Array(bytes) : new Float32Array(bytes);
  }

  release(name: string): void {
    this.#do(false, () => {
      this.#persistent.get(name)?.buffer.destroy();
      if (this.#persistent.delete(name)) this.#generation++;
    });
  }

  memory(): { bytes: number; persistent: number } {
    const total = (buffers: Iterable<GPUBuffer>) => [...buffers].reduce((sum, { size }) => sum + size, 0);
    const persistent = total([...this.#persistent.values()].map(({ buffer }) => buffer));
    return { bytes: persistent + total([...this.#pool, ...this.#blocks, this.#scratch, this.#nothing]), persistent };
  }

  dispose(): void {
    this.#failure ??= new LimbeckError("DISPOSED", "this executor was disposed");
    this.#device.removeEventListener("uncapturederror", this.#onError);
    for (const { go } of this.#jobs.splice(0)) go();
    const buffers = [...this.#persistent.values()].map(({ buffer }) => buffer);
    for (const buffer of [...buffers, ...this.#pool, ...this.#blocks, this.#scratch, this.#nothing]) buffer.destroy();
    this.#persistent.clear();
    if (!this.#options.borrowed) this.#device.destroy();
  }

  #check(): void {
    if (this.#failure) throw this.#failure;
  }

  /** A map that failed: because the device is gone, if so, else for its own reason. */
  #lost(cause: unknown): never {
    throw this.#failure ?? new LimbeckError("GPU_READ", `${this.adapter} gave no numbers back`, { cause });
  }

  #do(isRun: boolean, go: () => void): void {
    const guarded = () => {
      // After a failure only those who wait for an answer go on; they find the failure.
      if (!this.#failure) go();
    };
    this.#jobs.push({ isRun, go: guarded });
    this.#next();
  }

  #next(): void {
    for (let job = this.#jobs[0]; job && !(job.isRun && this.#inFlight >= RUNS_IN_FLIGHT); job = this.#jobs[0]) {
      this.#jobs.shift();
      job.go();
    }
  }

  #fits(value: Value): void {
    const { maxStorageBufferBindingSize: binding, maxBufferSize } = this.#device.limits;
    const most = Math.min(binding, maxBufferSize);
    if (sizeOf(value) * 4 > most)
      throw new LimbeckError(
        "GPU_LIMIT",
        `[${value.shape}] takes ${sizeOf(value) * 4} bytes, ${this.adapter} binds at most ${most}; use a smaller batch, length or model.`,
        { where: value.name || "a temporary" },
      );
  }

  #buffer(bytes: number, usage: number, label: string): GPUBuffer {
    return this.#device.createBuffer({ size: Math.ceil(bytes / 16) * 16, usage, label });
  }

  /** The buffer of an input or state, made anew (zeros) when its size is another. */
  #place(value: Persistent): Persisted {
    const size = sizeOf(value) * 4;
    const known = this.#persistent.get(value.name);
    if (known?.size === size) return known;
    known?.buffer.destroy();
    this.#generation++;
    const placed = { buffer: this.#buffer(size, STORAGE | COPY_SRC | COPY_DST, value.name), size };
    this.#persistent.set(value.name, placed);
    return placed;
  }

  /** Slots by rank: the program's largest slot lies in the pool's largest buffer. */
  #ranked({ plan: { slots } }: Recording): number[] {
    return slots.map((_, i) => i).sort((a, b) => slots[b] - slots[a] || a - b);
  }

  #prepare(recording: Recording): void {
    for (const value of recording.program.values)
      if (value.storage === "input" || value.storage === "state") this.#place(value);
    const grown = (old: GPUBuffer | undefined, bytes: number, label: string): GPUBuffer => {
      if (old && old.size >= bytes) return old;
      old?.destroy();
      this.#generation++;
      return this.#buffer(bytes, STORAGE, label);
    };
    this.#ranked(recording).forEach((slot, rank) => {
      this.#pool[rank] = grown(this.#pool[rank], recording.plan.slots[slot], `slot ${rank}`);
    });
    this.#scratch = grown(this.#scratch, recording.scratch, "scratch");
  }

  /** The value that an instruction means by a name of `bind`; true for scratch, undefined for an absent input. */
  #bound({ op, inputs, output }: Instruction, name: string): Value | true | undefined {
    if (name === "scratch") return true;
    if (name === "out") return output ?? undefined;
    const [input, index] = name.split(".");
    const place = Object.keys(op.inputs).indexOf(input);
    if (place < 0) throw new LimbeckError("OP_BIND", `${op.name} binds "${name}", which is none of its inputs`);
    const value = inputs[place];
    return (index === undefined ? (value as Value | null) : (value as readonly Value[])[Number(index)]) ?? undefined;
  }

  #bind(recording: Recording): void {
    const slotBuffer = new Map(this.#ranked(recording).map((slot, rank) => [slot, this.#pool[rank]]));
    const bindingOf = (instruction: Instruction, name: string): GPUBufferBinding => {
      const value = this.#bound(instruction, name);
      if (value === undefined) return { buffer: this.#nothing };
      if (value === true) return { buffer: this.#scratch };
      const size = sizeOf(value) * 4;
      const constant = recording.constants.get(value);
      if (constant !== undefined) return { buffer: recording.block, offset: constant, size };
      const slot = recording.plan.slotOf.get(value);
      return { buffer: slot === undefined ? this.#place(value).buffer : slotBuffer.get(slot)!, size };
    };
    recording.commands = recording.steps.map(({ instruction, dispatch, bind, pipeline, parameters }) => ({
      pipeline,
      grid: dispatch.grid,
      group: this.#device.createBindGroup({
        label: dispatch.entry,
        layout: this.#pipelines.layoutOf(pipeline),
        entries: [
          { binding: 0, resource: { buffer: recording.block, ...parameters } },
          ...bind.map((name, i) => ({ binding: i + 1, resource: bindingOf(instruction, name) })),
        ],
      }),
    }));
    recording.generation = this.#generation;
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
