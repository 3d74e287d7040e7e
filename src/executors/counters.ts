// What a GPU executor has done since it was made, for budgets and reports. Numbers only grow: who wants those of a step subtracts.

export interface Counters {
  /** Programs run. */
  runs: number;
  dispatches: number;
  passes: number;
  /** Command buffers and copies handed to the queue; nudges (`answers.ts`) are not among them. */
  submits: number;
  /** Compiled pipelines. */
  pipelines: number;
  /** Buffers mapped for the host, and the bytes that came with them. */
  maps: number;
  bytesToHost: number;
  bytesToDevice: number;
}

export const noCounts = (): Counters => ({
  ...{ runs: 0, dispatches: 0, passes: 0, submits: 0 },
  ...{ pipelines: 0, maps: 0, bytesToHost: 0, bytesToDevice: 0 },
});
