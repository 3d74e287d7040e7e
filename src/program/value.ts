// A Value is one array of a Program: what it is called, its shape and where it lives. It holds no numbers.

import type { Trace } from "./program.ts";

/** "No id", "no label": a u32 that points nowhere. */
export const NONE = 0xffffffff;

/** f16: temporaries only, operands of products; an executor without half precision keeps them in f32, rounded. */
export type Dtype = "f32" | "u32" | "f16";

/**
 * input: written by the host (or by another program) before a run; state: parameters, gradients, moments;
 * constant: known when the program is made; temporary: lives in a slot while the program runs.
 * Inputs and state are persistent and shared by name between the programs of one executor.
 */
export type Storage = "input" | "state" | "constant" | "temporary";

export class Value {
  readonly #trace: Trace;

  constructor(
    trace: Trace,
    readonly id: number,
    readonly name: string,
    readonly shape: readonly number[],
    readonly dtype: Dtype,
    readonly storage: Storage,
    /** The numbers of a constant. */
    readonly data?: readonly number[],
  ) {
    this.#trace = trace;
  }

  /** The trace that made this value; ops find it through their inputs, so no global knows about it. */
  get trace(): Trace {
    return this.#trace;
  }
}

/** Bytes on a device that has half precision; a multiple of 4. */
export function packedBytes(value: { readonly shape: readonly number[]; readonly dtype: Dtype }): number {
  return value.dtype === "f16" ? 4 * Math.ceil(sizeOf(value) / 2) : 4 * sizeOf(value);
}

/** Number of elements. */
export function sizeOf(value: { readonly shape: readonly number[] }): number {
  return value.shape.reduce((product, dimension) => product * dimension, 1);
}
