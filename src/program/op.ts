// What an op is: a shape rule, a parameter block, a gradient and its f64 formula, all as plain data and functions. No device code.
//
// Shapes are written as patterns: "N D" (letters bind dimensions), "..." (any number of dimensions), "1" (a literal), a leading
// "u32" (dtype; "any": f32 or u32, and the output like it; "float": f32 or f16, all of them alike) and a trailing "?" (optional input); "...|1" (this shape, or one number for all), "*" (any number of values).
// An output letter that no input binds is read from the attribute of that name.

import { LimbeckError } from "../errors.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Instruction } from "./program.ts";
import type { Dtype, Value } from "./value.ts";

export type Attributes = Readonly<Record<string, number | boolean | string>>;
export type Dims = Readonly<Record<string, number>>;

/** Arguments of the f64 formula. `out` arrives zeroed; optional inputs may be undefined. */
export interface Formula<I extends string = string> {
  readonly inputs: Readonly<Record<I, Float64Array>>;
  readonly out: Float64Array;
  readonly dims: Dims;
  readonly attributes: Attributes;
}

export interface GradientOf<I extends string = string> {
  readonly dy: Value;
  readonly y: Value;
  readonly inputs: Readonly<Record<I, Value>>;
  readonly attributes: Attributes;
  readonly dims: Dims;
}

/** Input name → how to trace its gradient. */
export type GradientRule = Readonly<Record<string, (() => Value) | undefined>>;

export interface Op<I extends string = string> {
  /** The same name in assembly/, shaders/ and test/ops. */
  readonly name: string;
  readonly inputs: Readonly<Record<I, string>>;
  /** Pattern of the output, a function where a pattern cannot say it, or null for an op that only writes state. */
  readonly output: string | ((dims: Dims, attributes: Attributes) => number[]) | null;
  /** Of the output; absent: that of the input called "any", else f32. */
  readonly dtype?: Dtype;
  /** The gradient of its input is dy itself: a parameter's goes into its state from where that of the output is made. */
  readonly passes?: true;
  /** Inputs that are written in place (state only). */
  readonly writes?: readonly I[];
  /** True when every executor can add the result to what the output already holds. */
  readonly accumulates?: boolean;
  /** The parameter block: u32 words (floats through `f32Bits`). Of "...", dims has `total`, the product. */
  readonly parameters: (dims: Dims, attributes: Attributes, inputs: Instruction["inputs"]) => readonly number[];
  /** Bytes of scratch that one command needs with this many threads. */
  readonly scratch?: (dims: Dims, threads: number, inputs: Instruction["inputs"]) => number;
  /** How a GPU runs it: one after the other. */
  readonly dispatches: (
    dims: Dims,
    attributes: Attributes,
    instruction: Pick<Instruction, "inputs" | "accumulate">,
  ) => readonly Dispatch[];
  /** One thunk per input that has a gradient; only those that are needed are called. */
  readonly gradient?: (of: GradientOf<I>) => GradientRule;
  readonly formula: (arguments_: Formula<I>) => void;
}

type OptionalKeys<S> = { [K in keyof S]: S[K] extends `${string}?` ? K : never }[keyof S];
type VariadicKeys<S> = { [K in keyof S]: S[K] extends "*" ? K : never }[keyof S];
export type OpInputs<S> = { [K in Exclude<keyof S, OptionalKeys<S> | VariadicKeys<S>>]: Value } & {
  [K in OptionalKeys<S>]?: Value | undefined;
} & { [K in VariadicKeys<S>]: readonly Value[] };

/** An op is called like a function; `op` is its definition. */
export interface OpFunction<S extends Record<string, string>, A extends Attributes> {
  (inputs: OpInputs<S>, attributes: A): Value;
  readonly op: Op<keyof S & string>;
}

/** Defines an op; the result traces one instruction when it is called. */
export function defineOp<A extends Attributes>() {
  return <const S extends Record<string, string>>(
    spec: Omit<Op<keyof S & string>, "inputs"> & { readonly inputs: S },
  ): OpFunction<S, A> => {
    const op = spec as unknown as Op<keyof S & string>;
    const call = (inputs: OpInputs<S>, attributes: A): Value => {
      const given = inputs as Record<string, Value | readonly Value[] | undefined>;
      const first = Object.values(given).flat()[0];
      if (!first) throw new LimbeckError("OP_INPUT", `${op.name} was called without inputs`);
      return first.trace.emit(op as Op, given, attributes);
    };
    return Object.assign(call, { op });
  };
}

export function f32Bits(x: number): number {
  return new Uint32Array(Float32Array.of(x).buffer)[0];
}

/** Binds the letters of all input patterns and returns them with the output's shape. */
export function inferShape(
  op: Op,
  inputs: Readonly<Record<string, Value | readonly Value[] | undefined>>,
  attributes: Attributes,
): { dims: Dims; shape: number[] | null; dtype: Dtype } {
  const dims: Record<string, number> = {};
  let result: Dtype | undefined;
  for (const [key, value] of Object.entries(attributes)) if (typeof value === "number") dims[key] = value;
  let any: readonly number[] | undefined;
  const fail = (name: string, expected: string, got: unknown): never => {
    const known = Object.entries(dims).map(([k, v]) => `${k}=${v}`);
    throw new LimbeckError(
      "OP_SHAPE",
      `${op.name}: input ${name} must be [${expected}] but is ${got}${known.length > 0 ? ` (with ${known.join(", ")})` : ""}`,
    );
  };
  for (const [name, pattern] of Object.entries(op.inputs)) {
    if (pattern === "*") continue;
    const tokens = pattern.replace("?", "").split(" ");
    const value = inputs[name];
    const typed = ["u32", "any", "float"].includes(tokens[0]) ? tokens.shift() : "f32";
    if (value === undefined) {
      if (!pattern.endsWith("?")) fail(name, tokens.join(" "), "missing");
      continue;
    }
    const { dtype, shape } = value as Value;
    const fits =
      typed === "any" ? dtype !== "f16" : typed === "float" && dtype !== "u32" && (result ?? dtype) === dtype;
    if (fits) result = dtype;
    else if (dtype !== typed) fail(name, `${typed} ${tokens.join(" ")}`, "another dtype");
    if (tokens[0] === "...|1") {
      if (shape.join() !== "1" && shape.join() !== any?.join()) fail(name, `${any} or 1`, `[${shape}]`);
      continue;
    }
    const fixed = tokens.filter((token) => token !== "...");
    const spare = shape.length - fixed.length;
    const open = tokens.indexOf("...");
    if (open < 0 ? spare !== 0 : spare < 0) fail(name, tokens.join(" "), `[${shape}]`);
    if (open >= 0) {
      const found = shape.slice(open, open + spare);
      if (any && found.join() !== any.join()) fail(name, tokens.join(" "), `[${shape}]`);
      any = found;
    }
    fixed.forEach((token, i) => {
      const size = shape[open >= 0 && i >= open ? spare + i : i];
      const expected = /^\d+$/.test(token) ? Number(token) : (dims[token] ?? size);
      if (expected !== size) fail(name, tokens.join(" "), `[${shape}]`);
      dims[token] = size;
    });
  }
  dims.total = (any ?? []).reduce((product, dimension) => product * dimension, 1);
  const dtype = op.dtype ?? result ?? "f32";
  if (op.output === null) return { dims, shape: null, dtype };
  if (typeof op.output === "function") return { dims, shape: op.output(dims, attributes), dtype };
  const shape = op.output.split(" ").flatMap((token) => {
    if (token === "...") return [...(any ?? [])];
    if (/^\d+$/.test(token)) return [Number(token)];
    if (dims[token] === undefined) throw new LimbeckError("OP_SHAPE", `${op.name}: attribute ${token} is missing`);
    return [dims[token]];
  });
  return { dims, shape, dtype };
}
