// What main.ts prints in a host and remote.ts reads.

export const PREFIX = "limbeck-test ";

export interface Outcome {
  /** File, suites, name. */
  readonly path: readonly string[];
  /** "skip" also in a list, where nothing is run. */
  readonly state: "pass" | "fail" | "skip";
  readonly message?: string;
  readonly stack?: string;
}

/** First the adapter that WebGPU shows here, if any; then an outcome a test. */
export type Line = { readonly adapter: string | null } | Outcome | "end";
