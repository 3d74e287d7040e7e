// A Scope gives a model its parameters by checkpoint path, as in `scope.in("encoder").in("layer.0").parameter("dense.weight", …)`.

import type { Trace } from "./program.ts";
import type { Value } from "./value.ts";

export class Scope {
  constructor(
    readonly trace: Trace,
    /** Whose parameters these are, "teacher0" or "student": keeps equal paths of two models apart. */
    readonly owner: string,
    /** Dropout is active. */
    readonly training: boolean,
    readonly path: string = "",
    /** Every parameter asked for, by its path: what a checkpoint of this model must hold. */
    readonly parameters: Map<string, Value> = new Map(),
    /** Those of them that training leaves alone. */
    readonly frozen: Set<Value> = new Set(),
    /** What linear layers have read in half precision so far, rounded once each; absent: they multiply in f32. */
    readonly halves?: Map<Value, Value>,
  ) {}

  in(name: string): Scope {
    const { trace, owner, training, parameters, frozen, halves } = this;
    return new Scope(trace, owner, training, this.#join(name), parameters, frozen, halves);
  }

  parameter(name: string, shape: readonly number[]): Value {
    const path = this.#join(name);
    const value = this.trace.state(`${this.owner}/${path}`, shape);
    this.parameters.set(path, value);
    return value;
  }

  /** A parameter that is not trained. */
  fixed(name: string, shape: readonly number[]): Value {
    const value = this.parameter(name, shape);
    this.frozen.add(value);
    return value;
  }

  #join(name: string): string {
    return this.path ? `${this.path}.${name}` : name;
  }
}
