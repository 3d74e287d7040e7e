// The programs of a run at shapes that none of its batches exceeds, known before a device is: so a GPU can be asked for what they need.

import { type Encoded, makeBatch } from "../data/batch.ts";
import { MASKED_SHARE } from "../data/masking.ts";
import type { BatchShape } from "../models/features.ts";
import type { Program } from "../program/program.ts";
import { masksTokens } from "../recipes/recipe.ts";
import { BATCH } from "./evaluate.ts";
import {
  forwardProgram,
  judging,
  lossPrograms,
  type Placed,
  type StepStructure,
  stepPrograms,
  updateProgram,
} from "./programs.ts";
import { shapeOf } from "./trainer.ts";

/** Of the longest sequences together. */
function largestShape(rows: readonly Encoded[], size: number, maskedShare = 0): BatchShape {
  const longest = [...rows].sort((a, b) => b.ids.length - a.ids.length).slice(0, size);
  return shapeOf(makeBatch(longest, { size, maskedShare }));
}

export function* trainingPrograms(
  structure: StepStructure,
  batchSize: number,
  train: readonly Encoded[],
  /** By what it is judged: the student by its answers, a stage on plain text without masks by its loss. */
  evaluated: { readonly rows: readonly Encoded[]; readonly text: readonly Encoded[] } = { rows: [], text: [] },
): Generator<Program> {
  const maskedShare = masksTokens(structure.stage) ? MASKED_SHARE : 0;
  const { teachers, gradient } = stepPrograms(structure, largestShape(train, batchSize, maskedShare));
  yield* [...teachers, gradient, updateProgram(structure)];
  const { rows, text } = evaluated;
  if (text.length > 0 && maskedShare === 0) yield* lossPrograms(structure, largestShape(text, BATCH));
  const shape = largestShape([...train, ...rows, ...text], BATCH, maskedShare);
  for (const placed of [...structure.teachers, structure.student]) yield* judging(placed, shape);
}

/** Of a model that only answers. */
export function* judgingPrograms(placed: Placed, rows: readonly Encoded[]): Generator<Program> {
  yield* judging(placed, largestShape(rows, BATCH));
}

/** What a classifier may be asked: batches of texts as long as it reads. */
export function* predictionPrograms(placed: Placed, maxLength: number): Generator<Program> {
  const ids = new Uint32Array(maxLength);
  yield forwardProgram(placed, largestShape(Array(BATCH).fill({ ids, segments: ids }), BATCH));
}
