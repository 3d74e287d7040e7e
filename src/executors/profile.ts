// Where the time of a run went: for each kernel how often it ran, how long, and how much it had to compute and to move. Executors that are
// given one fill it; it survives them.

/** What a dispatch or command has to do at least. */
export interface Work {
  /** Multiplications and additions, of products only: elsewhere memory takes the time. */
  readonly flops: number;
  /** Bytes of what it reads and writes. */
  readonly bytes: number;
}

export interface ProfileRow extends Work {
  readonly kernel: string;
  readonly calls: number;
  readonly milliseconds: number;
}

/** What the device can do at most in a second. */
export type Limits = Work;

export class Profile {
  readonly #rows = new Map<string, { calls: number; milliseconds: number; flops: number; bytes: number }>();
  /** Measured by the executor before the run. */
  limits: Limits = { flops: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };

  add(kernel: string, milliseconds: number, { flops, bytes }: Work): void {
    const row = this.#rows.get(kernel) ?? { calls: 0, milliseconds: 0, flops: 0, bytes: 0 };
    this.#rows.set(kernel, row);
    row.calls++;
    row.milliseconds += milliseconds;
    row.flops += flops;
    row.bytes += bytes;
  }

  /** The dearest first. */
  rows(): ProfileRow[] {
    const rows = [...this.#rows].map(([kernel, row]) => ({ kernel, ...row }));
    return rows.sort((a, b) => b.milliseconds - a.milliseconds || (a.kernel < b.kernel ? -1 : 1));
  }
}

/** The part of a row's time that the device would need if nothing but arithmetic, or nothing but memory, took any. */
export function shareOfLimit({ milliseconds, flops, bytes }: ProfileRow, limits: Limits): number {
  return (1000 * Math.max(flops / limits.flops, bytes / limits.bytes)) / milliseconds;
}
