// What a page and its worker say to each other. Every call has a number; its answer, and the events before it, have the same. So have threads.

import type { ErrorCode } from "../errorCodes.ts";
import { InputError, LimbeckError } from "../errors.ts";
import type { TrainingEvent } from "../train/run.ts";

export const RUNS = ["finetune", "distill", "pretrain"] as const;
export type RunVerb = (typeof RUNS)[number];
export type Verb = RunVerb | "plan" | "doctor" | "open" | "predict" | "evaluate";

export type Request =
  | { readonly id: number; readonly verb: Verb; readonly args: readonly unknown[] }
  /** The run stops after its update; or it is left, and keeps nothing more. */
  | { readonly id: number; readonly end: "abort" | "leave" }
  /** The worker of a thread could not go on. */
  | { readonly thread: number; readonly failed: string };

export type Reply =
  /** The name of the lock that the worker holds as long as it lives. */
  | { readonly alive: string }
  /** A thread is wanted, to which this port is given. */
  | { readonly thread: number; readonly port: MessagePort }
  | { readonly id: number; readonly event: TrainingEvent }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: PackedError };

/** An error, taken apart: a structured clone has neither its class nor its code. */
export interface PackedError {
  readonly message: string;
  readonly stack?: string;
  readonly code?: ErrorCode;
  readonly where?: string;
  readonly input: boolean;
}

export function packError(error: unknown): PackedError {
  if (!(error instanceof Error)) return { message: String(error), input: false };
  const { message, stack } = error;
  if (!(error instanceof LimbeckError)) return { message: `${error.name}: ${message}`, stack, input: false };
  const { code, where } = error;
  return {
    message: message.slice(where ? `${where}: `.length : 0),
    stack,
    code,
    where,
    input: error instanceof InputError,
  };
}

/** As it was thrown in the worker; what nobody foresaw is its failure. */
export function unpackError({ message, stack, code, where, input }: PackedError): LimbeckError {
  const cause = stack === undefined ? undefined : { stack };
  if (code === undefined)
    return new LimbeckError("WORKER_FAILED", `an error that nobody foresaw (${message}); please report it.`, { cause });
  return new (input ? InputError : LimbeckError)(code, message, { where, cause });
}
