// Optimisers by name.

import { InputError } from "../errors.ts";
import { adadelta } from "./adadelta.ts";
import { adamw } from "./adamw.ts";
import { bertAdam } from "./bertAdam.ts";
import { lamb, lambUncorrected } from "./lamb.ts";
import type { Optimizer } from "./optimizer.ts";

export const optimizers: Readonly<Record<string, Optimizer>> = Object.fromEntries(
  [adamw, bertAdam, lamb, lambUncorrected, adadelta].map((optimizer) => [optimizer.name, optimizer]),
);

export function optimizerNamed(name: string): Optimizer {
  if (Object.hasOwn(optimizers, name)) return optimizers[name];
  const known = Object.keys(optimizers).join(", ");
  throw new InputError("UNKNOWN_OPTIMIZER", `there is no optimiser "${name}"; known: ${known}.`, {
    where: "--optimizer",
  });
}
