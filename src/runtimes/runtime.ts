// The contract between limbeck and a JavaScript host: how it gives a compiled WASM module, threads and files. The core never asks where it is.

import type { Files } from "../formats/files.ts";
import type { Downloads } from "../formats/remote.ts";

/** What a thread needs to know; it is sent to the thread as it is. */
export interface ThreadStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Its number, and of how many. Number 0 is the caller of ThreadPool.run. */
  readonly ith: number;
  readonly nth: number;
}

/** A process among all that ever ran on any machine. */
export interface ProcessId {
  readonly host: string;
  readonly pid: number;
  /** When it began, in the host's own words; a pid alone comes again. Undefined where the host does not tell. */
  readonly started?: string;
}

/**
 * The builds of the kernels (asconfig.json): for shared memory and threads or for one thread, with strict or with fast numerics; and what a
 * forward pass needs, for one thread, strict.
 */
export type Build = "threads" | "single" | "fast.threads" | "fast.single" | "inference";

export interface Runtime {
  readonly name: string;
  /** How many threads can run at the same time. */
  cores(): number;
  /** Bytes of main memory, where the host tells. */
  memory?(): number;
  /** The kernels. */
  compile(build: Build): Promise<WebAssembly.Module>;
  /**
   * Starts a thread that serves the memory (`serveThread`) until its pool is disposed; settled when it serves, rejected with the reason
   * when it cannot. A serving thread does not keep the process alive; one that ends too early is reported by `fail`.
   */
  startThread?(start: ThreadStart): Promise<void>;
  /** Why there is one thread only, as things stand; undefined where there are more. */
  oneThread?(): string | undefined;
  /** WebGPU, where this host has it; undefined where it never does. Throws what to install where it could. */
  gpu?(): Promise<GPU | undefined>;
  /** Which process this is, and whether another of this host still runs. Absent where a page has its own locks. */
  readonly processes?: { own(): Promise<ProcessId>; runs(id: ProcessId): Promise<boolean> };
  /** How models are fetched from the network; with nothing kept unless it says more. */
  downloads?(): Downloads;
  /** A folder by its path; whether it exists is asked later. */
  folder(path: string): Files;
  /** The bytes of one file; an InputError when it cannot be read. */
  readFile(path: string): Promise<Uint8Array>;
}
