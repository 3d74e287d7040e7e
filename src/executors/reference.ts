// The executor whose only job is to be right: plain TypeScript in f64, one array a value, each op's own formula.

import { LimbeckError } from "../errors.ts";
import type { Program } from "../program/program.ts";
import { sizeOf, Value } from "../program/value.ts";
import type { Executor, Loaded, Numbers, Persistent } from "./executor.ts";

export class ReferenceExecutor implements Executor {
  readonly name = "reference";
  readonly #persistent = new Map<string, Float64Array>();

  load(program: Program): Loaded {
    return { program };
  }

  unload(): void {}

  write(value: Persistent, data: Numbers): void {
    if (data.length !== sizeOf(value))
      throw new LimbeckError("WRITE_SIZE", `${data.length} numbers were written to [${value.shape}]`, {
        where: value.name,
      });
    this.#persistent.set(value.name, Float64Array.from(data));
  }

  run({ program }: Loaded): void {
    const arrays = new Map<Value, Float64Array>();
    const persistent = (value: Value, reading: boolean): Float64Array => {
      const known = this.#persistent.get(value.name);
      if (known?.length === sizeOf(value)) return known;
      if (reading && value.storage === "input")
        throw new LimbeckError("INPUT_UNWRITTEN", `this input of ${program.name} was never written`, {
          where: value.name,
        });
      const fresh = new Float64Array(sizeOf(value));
      this.#persistent.set(value.name, fresh);
      return fresh;
    };
    const arrayOf = (value: Value, reading: boolean): Float64Array => {
      if (value.storage === "input" || value.storage === "state") return persistent(value, reading);
      const array = arrays.get(value) ?? (value.data ? Float64Array.from(value.data) : new Float64Array(sizeOf(value)));
      arrays.set(value, array);
      return array;
    };
    for (const { op, inputs, output, accumulate, attributes, dims } of program.instructions) {
      const read = (value: Value) => arrayOf(value, true);
      const named = Object.fromEntries(
        Object.keys(op.inputs).map((name, i) => {
          const input = inputs[i];
          if (input === null) return [name, undefined];
          return [name, input instanceof Value ? read(input) : input.map(read)];
        }),
      ) as Record<string, Float64Array>;
      const out = new Float64Array(output ? sizeOf(output) : 0);
      op.formula({ inputs: named, out, dims, attributes });
      if (!output) continue;
      const into = arrayOf(output, accumulate);
      for (let i = 0; i < out.length; i++) into[i] = accumulate ? into[i] + out[i] : out[i];
    }
  }

  async read(value: Persistent): Promise<Float64Array> {
    const array = this.#persistent.get(value.name);
    if (!array) throw new LimbeckError("READ_UNKNOWN", "nothing was written under this name", { where: value.name });
    return array.slice();
  }

  /** A run returns when it is done. */
  async finished(): Promise<void> {}

  release(name: string): void {
    this.#persistent.delete(name);
  }

  memory(): { bytes: number; persistent: number } {
    const bytes = [...this.#persistent.values()].reduce((sum, array) => sum + array.byteLength, 0);
    return { bytes, persistent: bytes };
  }

  dispose(): void {
    this.#persistent.clear();
  }
}
