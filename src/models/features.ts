// What a model shows to a recipe, and what a batch gives to a model.

import { InputError } from "../errors.ts";
import type { Trace } from "../program/program.ts";
import type { Value } from "../program/value.ts";
import type { Decoder } from "./vocabulary.ts";

/** N token rows of B sequences, width D, H heads, L the longest sequence rounded up, C classes. Layers count from 0. */
export interface Features {
  /** Output of the embeddings. [N, D] */
  readonly embedding: Value;
  /** Output of each layer. [N, D] */
  readonly hidden: readonly Value[];
  /** The first token's row ([CLS]) of each layer's output; rows of empty sequences count for nothing. [B, D] */
  readonly cls: readonly Value[];
  /** Attention scores q·kᵀ/√d of each layer before the softmax. [N, H, L] */
  readonly scores: readonly Value[];
  /** Each layer's projections, heads side by side. [N, D] */
  readonly queries: readonly Value[];
  readonly keys: readonly Value[];
  readonly values: readonly Value[];
  /** The pooler's output. [B, D] */
  readonly pooled: Value;
  /** [B, C] */
  readonly logits: Value;
  /** Of a masked-LM head: what logits over the vocabulary are made of, for all N rows, and for the K masked ones. */
  readonly vocabulary: Decoder;
  readonly masked: Decoder;
  /** H */
  readonly heads: number;
}

export type FeatureName = Exclude<keyof Features, "heads">;

export const FEATURES = [
  ...([
    "embedding",
    "hidden",
    "cls",
    "scores",
    "queries",
    "keys",
    "values",
    "pooled",
    "logits",
    "vocabulary",
    "masked",
  ] as const),
] satisfies readonly FeatureName[];

/** Of these no cache is kept. */
type OverVocabulary = "vocabulary" | "masked";

/** Whose numbers a row of a feature are: a sequence's, a token's, or those of a token and each of its sequence's. */
export const ROWS: Readonly<Record<Exclude<FeatureName, OverVocabulary>, "sequence" | "token" | "pairs">> = {
  ...{ embedding: "token", hidden: "token", cls: "sequence", scores: "pairs", pooled: "sequence", logits: "sequence" },
  ...{ queries: "token", keys: "token", values: "token" },
};

/** What a model has of the features; reading another one is an error that names the model. */
export function shown(has: Partial<Features>, model: string): Features {
  const features = Object.defineProperties({}, Object.getOwnPropertyDescriptors(has));
  for (const name of [...FEATURES, "heads"])
    if (!(name in features))
      Object.defineProperty(features, name, {
        get: () => {
          if (name === "vocabulary" || name === "masked") throw noMaskedLm(model);
          throw new InputError("NO_FEATURE", `${model} has no ${name}, which the recipe reads; use another recipe.`);
        },
      });
  return features as Features;
}

export function noMaskedLm(model: string): InputError {
  return new InputError(
    "NO_MASKED_LM_HEAD",
    `${model} has no masked-LM head; train one (limbeck pretrain), name a model that has one (as a teacher: --text-teacher), or leave the stage out that needs it (--stage NAME.epochs=0).`,
  );
}

export interface BatchShape {
  /** B: sequences, the empty ones that fill a short batch included. */
  readonly sequences: number;
  /** N: token rows, tail rows included. */
  readonly rows: number;
  /** L: the longest sequence, rounded up. */
  readonly longest: number;
  /** K: rows that may be masked; not of batches without masks. */
  readonly masked?: number;
}

/** A batch as inputs of a program; the fields and their meaning are those of data/batch.ts. */
export interface BatchValues extends BatchShape {
  readonly ids: Value;
  readonly segments: Value;
  readonly positions: Value;
  readonly order: Value;
  readonly segmentOrder: Value;
  readonly positionOrder: Value;
  readonly offsets: Value;
  readonly first: Value;
  readonly last: Value;
  readonly textOffsets: Value;
  readonly firstOfText: Value;
  readonly lastOfText: Value;
  readonly firstOfPair: Value;
  readonly labels: Value;
  readonly scores: Value;
  readonly labelWeight: Value;
  readonly tokenWeight: Value;
  readonly rowWeight: Value;
  readonly eachWeight: Value;
  /** Of batches with masks. */
  readonly masks?: { readonly rows: Value; readonly targets: Value; readonly weight: Value };
}

export function batchValues(trace: Trace, shape: BatchShape): BatchValues {
  const perRow = (name: string, dtype: "f32" | "u32" = "u32") => trace.input(`batch/${name}`, [shape.rows], dtype);
  const perSequence = (name: string, dtype: "f32" | "u32", more = 0) =>
    trace.input(`batch/${name}`, [shape.sequences + more], dtype);
  return {
    ...shape,
    ids: perRow("ids"),
    segments: perRow("segments"),
    positions: perRow("positions"),
    order: perRow("order"),
    segmentOrder: perRow("segmentOrder"),
    positionOrder: perRow("positionOrder"),
    offsets: perSequence("offsets", "u32", 1),
    first: perSequence("first", "u32"),
    last: perSequence("last", "u32"),
    textOffsets: trace.input("batch/textOffsets", [3 * shape.sequences + 1], "u32"),
    firstOfText: perSequence("firstOfText", "u32"),
    lastOfText: perSequence("lastOfText", "u32"),
    firstOfPair: perSequence("firstOfPair", "u32"),
    labels: perSequence("labels", "u32"),
    scores: trace.input("batch/scores", [shape.sequences, 1]),
    labelWeight: perSequence("labelWeight", "f32"),
    rowWeight: perSequence("rowWeight", "f32"),
    tokenWeight: perRow("tokenWeight", "f32"),
    eachWeight: perRow("eachWeight", "f32"),
    ...(shape.masked
      ? {
          masks: {
            rows: trace.input("batch/maskedRows", [shape.masked], "u32"),
            targets: perRow("targets"),
            weight: perRow("targetWeight", "f32"),
          },
        }
      : {}),
  };
}
