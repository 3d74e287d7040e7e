// Runs Programs with the AssemblyScript kernels. A program becomes a list of commands in WASM memory (its layout is stated in
// assembly/index.ts) that every thread walks; nothing crosses between JavaScript and WASM while it runs.

import { HEAP, TILE_COLUMNS } from "../../assembly/layout.ts";
import { Opcode } from "../../assembly/opcodes.ts";
import { LimbeckError } from "../errors.ts";
import { type Plan, plan } from "../program/plan.ts";
import type { Instruction, Program } from "../program/program.ts";
import { type Dtype, sizeOf, type Value } from "../program/value.ts";
import type { Build, Runtime } from "../runtimes/runtime.ts";
import { Allocator, type Block } from "./allocator.ts";
import { type Executor, isTooLarge, type Loaded, type Numbers, type Persistent } from "./executor.ts";
import { type Kernels, ThreadPool } from "./pool.ts";
import type { Profile, Work } from "./profile.ts";
import { productsOf, TileChoice } from "./tiles.ts";
import { wasmFeatures } from "./wasmFeatures.ts";
import { wasmLimits, workOf } from "./wasmTimes.ts";

const INITIAL_PAGES = 64;
const MAXIMUM_PAGES = 65536;

/** Strict: the same bits on every engine and processor. Fast: multiply-adds as the processor likes them. */
export type Numerics = "strict" | "fast";

/** A weight [N, K] that products take transposed. */
interface Weight {
  readonly value: Value;
  readonly N: number;
  readonly K: number;
}

export interface WasmOptions {
  readonly threads: number;
  readonly numerics?: Numerics;
  /** No program writes state: weights are packed for products once, when they are multiplied with a second time, instead of every time. */
  readonly frozen?: boolean;
  /** Takes the time of every command; runs take a little longer. */
  readonly profile?: Profile;
  /** Leaves the first bytes of memory unused, so that a test can see what lies above 2 GiB. */
  readonly reserve?: number;
  /** Another one than threads and numerics ask for. */
  readonly build?: Build;
}

interface Persisted extends Block {
  /** Bytes of the value now; the block may be larger. */
  readonly size: number;
}

class Commands implements Loaded {
  /** Where the commands were written, and for which placing of everything else. */
  block: Block | undefined;
  /** Addresses of lists: one of all commands or, for a profile, one of each. */
  lists: readonly number[] = [];
  generation = -1;

  constructor(
    readonly program: Program,
    readonly plan: Plan,
    readonly constants: ReadonlyMap<Value, Block>,
    /** Of an executor whose weights are frozen. */
    readonly weights: readonly Weight[],
    /** Multiplications and additions in products. */
    readonly products: number,
    /** Of each command, for a profile. */
    readonly work: readonly Work[],
  ) {}
}

export class WasmExecutor implements Executor {
  readonly name = "wasm";
  readonly #memory: WebAssembly.Memory;
  readonly #allocator: Allocator;
  readonly #persistent = new Map<string, Persisted>();
  readonly #pool: Kernels;
  readonly #profile: Profile | undefined;
  readonly #frozen: boolean;
  /** Whether there was memory for all packed weights so far. */
  #roomy = true;
  /** Weights that were multiplied with since they were written, and once they are in use where they are packed. */
  readonly #packed = new Map<string, Block | undefined>();
  /** Which register tile products use. */
  readonly tiles: TileChoice;
  /** Temporaries of whichever program runs, and scratch of whichever command runs: one block each for all programs. */
  #slots: Block | undefined;
  #scratch: Block | undefined;
  /** Grows whenever an address changes, so that lists written before are written again. */
  #generation = 0;

  private constructor(
    memory: WebAssembly.Memory,
    pool: Kernels,
    /** Fast ones may be wanted where there are none. */
    readonly numerics: { readonly is: Numerics; readonly wanted: Numerics },
    /** Why there are fewer threads than asked for, if so. */
    readonly note: string | undefined,
    { reserve = 0, frozen = false, profile }: Pick<WasmOptions, "reserve" | "frozen" | "profile">,
  ) {
    this.#frozen = frozen;
    this.#pool = pool;
    this.#memory = memory;
    this.#profile = profile;
    this.#allocator = new Allocator(memory, HEAP + reserve);
    this.tiles = new TileChoice(pool, memory, this.#allocator);
    if (profile) profile.limits = wasmLimits(pool, memory, this.#allocator);
  }

  static async create(runtime: Runtime, options: WasmOptions): Promise<WasmExecutor> {
    const alone = runtime.oneThread?.();
    const threads = alone === undefined ? options.threads : 1;
    const fast = options.numerics === "fast" && wasmFeatures().relaxedSimd;
    const numerics = { is: fast ? ("fast" as const) : ("strict" as const), wanted: options.numerics ?? "strict" };
    const note = threads < options.threads ? `one thread instead of ${options.threads}: ${alone}` : undefined;
    const memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: MAXIMUM_PAGES, shared: threads > 1 });
    const plain = threads > 1 ? "threads" : "single";
    const module = await runtime.compile(options.build ?? (fast ? `fast.${plain}` : plain));
    const pool = await ThreadPool.create(runtime, module, memory, threads);
    return new WasmExecutor(memory, pool, numerics, note, options);
  }

  get threads(): number {
    return this.#pool.threads;
  }

  load(program: Program): Commands {
    for (const { op } of program.instructions)
      if (!(op.name in Opcode)) throw new LimbeckError("UNSUPPORTED_OP", `the WASM kernels have no op ${op.name}`);
    const trains = this.#frozen && program.instructions.find((i) => i.op.writes || i.output?.storage === "state");
    if (trains) throw new LimbeckError("FROZEN_STATE", `${trains.op.name} writes state where weights are frozen`);
    const planned = plan(program);
    const constants = new Map<Value, Block>();
    /** What was placed anew, and the bytes that it had. */
    const placed = new Map<string, number>();
    const [slots, scratch] = [this.#slots, this.#scratch];
    try {
      for (const value of program.values) {
        if (value.storage === "constant") {
          const block = this.#allocator.allocate(sizeOf(value) * 4);
          this.#view(value.dtype, block.at, sizeOf(value)).set(value.data as number[]);
          constants.set(value, block);
        } else if (value.storage !== "temporary") {
          const known = this.#persistent.get(value.name);
          if (this.#place(value).bytes !== known?.bytes) placed.set(value.name, known?.bytes ?? 0);
        }
      }
      this.#slots = this.#atLeast(this.#slots, sum(planned.slots));
      const each = program.instructions.map(({ op, dims, inputs }) => op.scratch?.(dims, this.threads, inputs) ?? 0);
      this.#scratch = this.#atLeast(this.#scratch, Math.max(0, ...each));
      const work = this.#profile ? program.instructions.map(workOf) : [];
      const weights = this.#frozen ? weightsOf(program) : [];
      const commands = new Commands(program, planned, constants, weights, productsOf(program), work);
      // Now, for a run must not want memory.
      this.#emit(commands);
      return commands;
    } catch (error) {
      // As if nothing had been asked for: what a smaller program needs may still fit, and those that were loaded run as before.
      for (const block of constants.values()) this.#allocator.free(block);
      for (const name of placed.keys()) this.release(name);
      [this.#slots, this.#scratch] = [this.#asBefore(this.#slots, slots), this.#asBefore(this.#scratch, scratch)];
      for (const [name, bytes] of placed) if (bytes > 0) this.#place({ name, shape: [bytes / 4], dtype: "f32" });
      throw error;
    }
  }

  unload(loaded: Loaded): void {
    const { block, constants } = loaded as Commands;
    for (const own of [...constants.values(), block ?? []].flat()) this.#allocator.free(own);
  }

  write(value: Persistent, data: Numbers): void {
    if (data.length !== sizeOf(value))
      throw new LimbeckError("WRITE_SIZE", `${data.length} numbers were written to [${value.shape}]`, {
        where: value.name,
      });
    this.#view(value.dtype, this.#place(value).at, data.length).set(data);
    this.#unpack(value.name);
  }

  run(loaded: Loaded): void {
    const commands = loaded as Commands;
    // Values of another shape may have been written since the program was loaded.
    for (const value of commands.program.values)
      if (value.storage === "input" || value.storage === "state") this.#place(value);
    for (const weight of commands.weights) this.#pack(weight);
    if (commands.generation !== this.#generation) this.#emit(commands);
    for (const [i, list] of commands.lists.entries()) {
      const start = performance.now();
      this.#pool.run(list);
      this.#profile?.add(commands.program.instructions[i].op.name, performance.now() - start, commands.work[i]);
    }
    this.tiles.after(commands.products);
  }

  async read(value: Persistent): Promise<Numbers> {
    const known = this.#persistent.get(value.name);
    if (!known) throw new LimbeckError("READ_UNKNOWN", "nothing was written under this name", { where: value.name });
    if (known.size !== sizeOf(value) * 4)
      throw new LimbeckError("READ_SIZE", `[${value.shape}] was asked for, ${known.size / 4} numbers are there`, {
        where: value.name,
      });
    return this.#view(value.dtype, known.at, sizeOf(value)).slice();
  }

  /** A run returns when it is done. */
  async finished(): Promise<void> {}

  release(name: string): void {
    const known = this.#persistent.get(name);
    if (!known) return;
    this.#allocator.free(known);
    this.#persistent.delete(name);
    this.#unpack(name);
    this.#generation++;
  }

  memory(): { bytes: number; persistent: number } {
    return {
      bytes: this.#memory.buffer.byteLength,
      persistent: sum([...this.#persistent.values()].map((p) => p.bytes)),
    };
  }

  dispose(): void {
    this.#pool.dispose();
    this.#persistent.clear();
  }

  #pack({ value, N, K }: Weight): void {
    if (!this.#packed.has(value.name)) this.#packed.set(value.name, undefined);
    else if (this.#roomy && !this.#packed.get(value.name))
      try {
        const block = this.#allocator.allocate(4 * TILE_COLUMNS * Math.ceil(N / TILE_COLUMNS) * K);
        this.#pool.packWeight(block.at, this.#place(value).at, N, K);
        this.#packed.set(value.name, block);
        this.#generation++;
      } catch (error) {
        // Nobody goes without an answer for want of memory to be faster: this weight is packed for each product.
        if (!isTooLarge(error)) throw error;
        this.#roomy = false;
      }
  }

  #unpack(name: string): void {
    const block = this.#packed.get(name);
    this.#packed.delete(name);
    if (!block) return;
    this.#allocator.free(block);
    this.#generation++;
  }

  #view(dtype: Dtype, at: number, length: number): Float32Array | Uint32Array {
    return dtype === "u32"
      ? new Uint32Array(this.#memory.buffer, at, length)
      : new Float32Array(this.#memory.buffer, at, length);
  }

  /** The place of an input or state, made or enlarged when needed. New places are zero. */
  #place(value: Persistent): Persisted {
    const size = sizeOf(value) * 4;
    const known = this.#persistent.get(value.name);
    if (known && known.size === size) return known;
    const block = this.#atLeast(known, size);
    if (block !== known) new Uint8Array(this.#memory.buffer, block.at, block.bytes).fill(0);
    const placed = { at: block.at, bytes: block.bytes, size };
    this.#persistent.set(value.name, placed);
    return placed;
  }

  #atLeast(block: Block | undefined, bytes: number): Block {
    if (block && block.bytes >= bytes) return block;
    const found = block ? this.#allocator.replace(block, bytes) : this.#allocator.allocate(bytes);
    this.#generation++;
    return found;
  }

  #asBefore(block: Block | undefined, before: Block | undefined): Block | undefined {
    if (!block || block === before) return block;
    this.#generation++;
    if (before) return this.#allocator.replace(block, before.bytes);
    this.#allocator.free(block);
    return undefined;
  }

  #emit(commands: Commands): void {
    const { program, plan: planned, constants } = commands;
    const slotAt: number[] = [];
    let at = (this.#slots as Block).at;
    for (const bytes of planned.slots) {
      slotAt.push(at);
      at += bytes;
    }
    const address = (value: Value): number => {
      const slot = planned.slotOf.get(value);
      if (slot !== undefined) return slotAt[slot];
      return (constants.get(value) ?? (this.#persistent.get(value.name) as Persisted)).at;
    };
    const written = program.instructions.map((instruction) => this.#command(instruction, address));
    const lists = this.#profile ? written.map((command) => [1, ...command]) : [[written.length, ...written.flat()]];
    const words = lists.flat();
    commands.block ??= this.#allocator.allocate(words.length * 4);
    let next = commands.block.at;
    commands.lists = lists.map(({ length }) => {
      next += 4 * length;
      return next - 4 * length;
    });
    new Uint32Array(this.#memory.buffer, commands.block.at, words.length).set(words);
    commands.generation = this.#generation;
  }

  /** opcode, words, scratch, output, accumulate, inputs (a variadic one behind its count), parameters. */
  #command(
    { op, inputs, output, accumulate, attributes, dims }: Instruction,
    address: (value: Value) => number,
  ): number[] {
    const pointers = inputs.flatMap((input) => {
      if (input === null) return [0];
      return Array.isArray(input) ? [input.length, ...input.map(address)] : [address(input as Value)];
    });
    const parameters = [...op.parameters(dims, attributes, inputs)];
    const packed = op.name === "matmul" && attributes.transposeB && this.#packed.get((inputs[1] as Value).name);
    if (packed) {
      pointers[1] = packed.at;
      parameters[4] = 2;
    }
    return [
      Opcode[op.name as keyof typeof Opcode],
      5 + pointers.length + parameters.length,
      (this.#scratch as Block).at,
      output ? address(output) : 0,
      Number(accumulate),
      ...pointers,
      ...parameters,
    ];
  }
}

/** State that products take transposed and in f32. */
function weightsOf({ instructions }: Program): Weight[] {
  return instructions.flatMap(({ op, inputs, attributes }) => {
    const value = inputs[1] as Value;
    if (op.name !== "matmul" || !attributes.transposeB || value.storage !== "state") return [];
    return [{ value, N: value.shape[0], K: value.shape[1] }];
  });
}

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
