// A Program made ready for a GPU, before any buffer is known: its dispatches with their pipelines, and one block of parameters and
// constants. Whatever has no pipeline is found here; what is too large, before (`needs.ts`).

import { LimbeckError } from "../errors.ts";
import type { Dispatch, Grid } from "../program/dispatch.ts";
import { type Plan, plan } from "../program/plan.ts";
import type { Instruction, Program } from "../program/program.ts";
import { packedBytes, Value } from "../program/value.ts";
import type { Loaded } from "./executor.ts";
import type { Access, Pipelines } from "./pipelines.ts";
import type { Work } from "./profile.ts";

/** Where a binding may begin inside a buffer: the largest value that the limits may have. */
const ALIGNMENT = 256;

/** What a binding holds; null for an absent optional input. */
export type Bound = Value | "scratch" | null;

export interface Step {
  readonly dispatch: Dispatch;
  readonly bound: readonly Bound[];
  readonly pipeline: GPUComputePipeline;
  /** Its parameters in the program's block. */
  readonly parameters: { readonly offset: number; readonly size: number };
  readonly work: Work;
}

/** A step with its buffers. */
export interface Command {
  readonly entry: string;
  readonly work: Work;
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly grid: Grid;
}

export interface Recording extends Loaded {
  readonly plan: Plan;
  /** Slots, the largest first. */
  readonly ranked: readonly number[];
  readonly steps: readonly Step[];
  /** Parameters and constants, and where each constant begins. Read only, so they may share a buffer. */
  readonly words: readonly number[];
  readonly constants: ReadonlyMap<Value, number>;
  /** Bytes. */
  readonly scratch: number;
}

export function record(program: Program, pipelines: Pipelines): Recording {
  const words: number[] = [];
  const append = (numbers: Iterable<number>): number => {
    const offset = words.length * 4;
    words.push(...numbers);
    while ((words.length * 4) % ALIGNMENT !== 0) words.push(0);
    return offset;
  };
  const constants = new Map<Value, number>();
  for (const value of program.values) {
    if (value.storage !== "constant") continue;
    const data = value.data as readonly number[];
    constants.set(value, append(value.dtype === "u32" ? data : new Uint32Array(Float32Array.from(data).buffer)));
  }
  const steps = program.instructions.flatMap((instruction) => {
    const { op, dims, attributes, inputs, accumulate } = instruction;
    if (accumulate && !op.accumulates)
      throw new LimbeckError("UNSUPPORTED_OP", `the shader of ${op.name} cannot add to what its output holds`);
    return op.dispatches(dims, attributes, instruction).map((wanted): Step => {
      const dispatch = pipelines.chosen(wanted);
      if (dispatch.grid.some((n) => n < 1))
        throw new LimbeckError("OP_GRID", `${dispatch.entry} was given ${dispatch.grid.join(" × ")} workgroups`);
      const names = dispatch.bind ?? ["out", ...Object.keys(op.inputs)];
      const bound = names.map((name) => resolve(instruction, name));
      const access = names.map(
        (name): Access =>
          name === "out" || name === "scratch" || op.writes?.includes(name) ? "storage" : "read-only-storage",
      );
      bound.forEach((value, i) => {
        if (value !== null && access[i] === "storage" && bound.indexOf(value) !== bound.lastIndexOf(value))
          throw new LimbeckError("OP_ALIAS", `${op.name} reads ${names[i]} under another name while it writes it`);
      });
      const present = bound.reduce((bits, value, i) => (value === null ? bits : bits | (2 << i)), 0);
      const own = dispatch.parameters ?? op.parameters(dims, attributes, inputs);
      const parameters = [Number(accumulate && names.includes("out")), present, ...own];
      return {
        ...{ dispatch, bound, pipeline: pipelines.get(dispatch.entry, access, dispatch.head) },
        parameters: { offset: append(parameters), size: parameters.length * 4 },
        work: { flops: dispatch.flops ?? 0, bytes: dispatch.bytes ?? bytesOf(bound) },
      };
    });
  });
  const planned = plan(program, packedBytes);
  const { slots } = planned;
  return {
    ...{ program, plan: planned, steps, words, constants },
    ranked: slots.map((_, i) => i).sort((a, b) => slots[b] - slots[a] || a - b),
    scratch: Math.max(0, ...steps.map(({ dispatch }) => dispatch.scratch ?? 0)),
  };
}

const bytesOf = (bound: readonly Bound[]) =>
  bound.reduce((sum, value) => sum + (value instanceof Value ? packedBytes(value) : 0), 0);

/** What an instruction means by a name of `bind`. */
function resolve({ op, inputs, output }: Instruction, name: string): Bound {
  if (name === "scratch") return name;
  if (name === "nothing") return null;
  if (name === "out") return output;
  const [input, index] = name.split(".");
  const given = inputs[Object.keys(op.inputs).indexOf(input)];
  const value = index === undefined || given === null ? given : (given as readonly Value[])?.[Number(index)];
  if (value === null || value instanceof Value) return value;
  throw new LimbeckError("OP_BIND", `${op.name} binds "${name}", which is none of its inputs`);
}
