// How an op runs on a GPU, as plain data: which entry points of shaders/ on how many workgroups. No device code.

import { ATTENTION_TILE, COLUMNS, GROUP, ROWS } from "../../shaders/layout.ts";

export type Grid = readonly [x: number, y: number, z: number];

/** One way to compute what another computes bit for bit: a head in front of the shader, and workgroups. */
export interface Variant {
  readonly head: string;
  readonly grid: Grid;
}

export interface Dispatch {
  /** A function in shaders/; its name is unique among all of them. */
  readonly entry: string;
  /** Workgroups. */
  readonly grid: Grid;
  /** Lines of `enable`, `alias` and `const` in front of the shader; another head is another pipeline. */
  readonly head?: string;
  /** Instead of `head` and `grid`, which are the first of them: an executor takes the one that it found fastest for this kind of work. */
  readonly variants?: readonly Variant[];
  readonly kind?: number;
  /**
   * What bindings 1, 2, … hold (0 is the parameter block): "out", "scratch", "nothing", or an input by its name, "tensors.3" for one
   * of many.
   * Absent: out, then the inputs in their order. An absent optional input is bound to a few zeros and its bit in `present` is 0.
   */
  readonly bind?: readonly string[];
  /** Parameter words behind `accumulate` and `present`; absent: those of the op. */
  readonly parameters?: readonly number[];
  /** Multiplications and additions, where they take the time, and bytes read and written, where those are not all that is bound: for profiles. */
  readonly flops?: number;
  readonly bytes?: number;
  /** Bytes of scratch, which lasts from one dispatch of an instruction to the next. */
  readonly scratch?: number;
}

/** WebGPU's smallest limit of workgroups per dimension. */
const MOST = 65535;

/** So many workgroups or a few more, in two dimensions where one does not reach; `flat` in shaders/lib numbers them. */
export function spread(groups: number): Grid {
  const y = Math.ceil(groups / MOST);
  return [Math.ceil(groups / y), y, 1];
}

/** One thread an element. */
export const elements = (n: number): Grid => spread(Math.ceil(n / GROUP));

/** A few threads a row. */
export const rows = (n: number): Grid => spread(Math.ceil(n / ROWS));

/** A few columns a workgroup, all rows of them. */
export const columns = (n: number): Grid => [Math.ceil(n / COLUMNS), 1, 1];

/** The squares of so many matrices of this size. */
export function squares(rows: number, columns: number, y: number, z: number): Grid {
  return [Math.ceil(rows / ATTENTION_TILE) * Math.ceil(columns / ATTENTION_TILE), y, z];
}
