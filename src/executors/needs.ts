// What programs need of a GPU's limits: asked for when a device is opened, compared when a program is loaded.

import { LimbeckError } from "../errors.ts";
import type { Program } from "../program/program.ts";
import { packedBytes } from "../program/value.ts";

/** The limits that models meet, and what every WebGPU device allows when nobody asks for more. */
export const DEFAULT_LIMITS = {
  maxStorageBufferBindingSize: 134_217_728,
  maxBufferSize: 268_435_456,
  maxComputeWorkgroupsPerDimension: 65_535,
} as const;

export type Limit = keyof typeof DEFAULT_LIMITS;
export type Limits = Readonly<Record<Limit, number>>;

interface Need {
  readonly limit: Limit;
  readonly amount: number;
  /** Who needs it, as the beginning of a sentence, and where that stands. */
  readonly what: string;
  readonly where?: string;
}

function* needsOf({ name, values, instructions }: Program): Generator<Need> {
  // A value has a buffer of its own or a slot of its size, and is bound whole.
  function* buffer(bytes: number, what: string, where: string): Generator<Need> {
    const amount = Math.ceil(bytes / 16) * 16;
    yield { limit: "maxStorageBufferBindingSize", amount, what, where };
    yield { limit: "maxBufferSize", amount, what, where };
  }
  for (const value of values) {
    const bytes = packedBytes(value);
    yield* buffer(bytes, `[${value.shape}] takes ${bytes} bytes`, value.name || "a temporary");
  }
  for (const instruction of instructions) {
    const { op, dims, attributes } = instruction;
    for (const { entry, grid, scratch = 0 } of op.dispatches(dims, attributes, instruction)) {
      const what = `${entry} needs ${grid.join(" × ")} workgroups`;
      yield { limit: "maxComputeWorkgroupsPerDimension", amount: Math.max(...grid), what, where: name };
      yield* buffer(scratch, `${entry} needs ${scratch} bytes of scratch`, name);
    }
  }
}

/** The least limits with which all these programs load. */
export function limitsFor(programs: Iterable<Program>): Limits {
  const limits: Record<Limit, number> = { ...DEFAULT_LIMITS };
  for (const program of programs)
    for (const { limit, amount } of needsOf(program)) limits[limit] = Math.max(limits[limit], amount);
  return limits;
}

/** Refuses a program that does not fit, with the numbers. */
export function requireLimits(program: Program, adapter: string, limits: Limits): void {
  for (const { limit, amount, what, where } of needsOf(program))
    if (amount > limits[limit])
      throw new LimbeckError(
        "GPU_LIMIT",
        `${what}, and ${adapter} allows at most ${limits[limit]} (${limit}); use a smaller batch, length or model.`,
        { where },
      );
}
