// A Program is a list of instructions over Values: plain data that prints, compares and runs on any executor.
// A Trace is the pen that writes one; tracing a whole training step takes about a millisecond, so programs are disposable.

import { LimbeckError } from "../errors.ts";
import { type Attributes, type Dims, inferShape, type Op } from "./op.ts";
import { type Dtype, type Storage, Value } from "./value.ts";

export interface Instruction {
  readonly op: Op;
  /** In the order that the op declares them; null for an absent optional input. */
  readonly inputs: readonly (Value | readonly Value[] | null)[];
  readonly output: Value | null;
  /** The result is added to what the output holds. */
  readonly accumulate: boolean;
  readonly attributes: Attributes;
  readonly dims: Dims;
}

export interface Program {
  readonly name: string;
  readonly values: readonly Value[];
  readonly instructions: readonly Instruction[];
}

/** Instructions whose gradient comes right behind them. */
export interface Part {
  readonly from: number;
  readonly to: number;
}

export class Trace {
  readonly #values: Value[] = [];
  readonly #named = new Map<string, Value>();
  readonly instructions: Instruction[] = [];
  readonly parts: Part[] = [];

  #value(name: string, shape: readonly number[], dtype: Dtype, storage: Storage, data?: readonly number[]): Value {
    const value = new Value(this, this.#values.length, name, shape, dtype, storage, data);
    this.#values.push(value);
    return value;
  }

  #persistent(name: string, shape: readonly number[], dtype: Dtype, storage: Storage): Value {
    const known = this.#named.get(name);
    if (!known) {
      const value = this.#value(name, shape, dtype, storage);
      this.#named.set(name, value);
      return value;
    }
    if (known.shape.join() !== shape.join() || known.dtype !== dtype || known.storage !== storage)
      throw new LimbeckError(
        "VALUE_REDEFINED",
        `${storage} ${dtype} [${shape}] was asked for, but it is already ${known.storage} ${known.dtype} [${known.shape}] in this program`,
        { where: name },
      );
    return known;
  }

  input(name: string, shape: readonly number[], dtype: Dtype = "f32"): Value {
    return this.#persistent(name, shape, dtype, "input");
  }

  state(name: string, shape: readonly number[]): Value {
    return this.#persistent(name, shape, "f32", "state");
  }

  constant(data: readonly number[], dtype: Dtype = "f32"): Value {
    return this.#value("", [data.length], dtype, "constant", data);
  }

  /** Appends one instruction and returns its output (for an op that only writes state: its first written input). */
  emit(op: Op, given: Readonly<Record<string, Value | readonly Value[] | undefined>>, attributes: Attributes): Value {
    const { dims, shape, dtype } = inferShape(op, given, attributes);
    for (const name of op.writes ?? [])
      if ((given[name] as Value).storage !== "state")
        throw new LimbeckError("OP_WRITES", `${op.name} writes its input ${name}, so that must be state`);
    const output = shape && this.#value(op.name, shape, dtype, "temporary");
    const inputs = Object.keys(op.inputs).map((name) => given[name] ?? null);
    this.instructions.push({ op, inputs, output, accumulate: false, attributes, dims });
    return output ?? (given[(op.writes as string[])[0]] as Value);
  }

  /**
   * Traces `body`, whose gradient will stand right behind it instead of behind everything: what lies between its inputs and its result
   * does not have to wait, so several parts can share memory. Only sense for the end of a loss, whose dy needs nothing that comes later.
   */
  part<T>(body: () => T): T {
    const from = this.instructions.length;
    const result = body();
    this.parts.push({ from, to: this.instructions.length });
    return result;
  }

  /** Sends the result of the instruction that made `value` to a persistent value instead, optionally adding to it. */
  retarget(value: Value, destination: Value, accumulate: boolean): void {
    const index = this.instructions.findLastIndex((instruction) => instruction.output === value);
    const instruction = this.instructions[index];
    if (value.shape.join() !== destination.shape.join())
      throw new LimbeckError("OP_SHAPE", `[${value.shape}] cannot be written to [${destination.shape}]`, {
        where: destination.name,
      });
    this.instructions[index] = { ...instruction, output: destination, accumulate };
  }

  /** The program: every instruction that reaches persistent memory; what nobody reads is left out. */
  finish(name: string): Program {
    const needed = new Set<Value>();
    const kept: Instruction[] = [];
    for (const instruction of [...this.instructions].reverse()) {
      const { output, op } = instruction;
      if (output && output.storage === "temporary" && !needed.has(output) && !op.writes) continue;
      kept.push(instruction);
      for (const input of instruction.inputs.flat()) if (input) needed.add(input);
      if (output) needed.add(output);
    }
    return { name, values: this.#values.filter((value) => needed.has(value)), instructions: kept.reverse() };
  }
}
