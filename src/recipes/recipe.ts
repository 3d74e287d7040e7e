// A recipe says which terms a student is trained on. It reads like its paper: Features in, named terms out; every term becomes a metric.

import type { BatchValues, Features } from "../models/features.ts";
import type { Value } from "../program/value.ts";

export interface Hyper {
  /** T of the soft labels. */
  temperature: number;
  /** Share of the soft term; the hard one gets 1 − α. */
  alpha: number;
  /** Weight of the patience term. */
  beta: number;
}

export interface RecipeInputs {
  readonly teachers: readonly Features[];
  readonly student: Features;
  readonly batch: BatchValues;
  readonly regression: boolean;
  /** T as an input. [1] */
  readonly temperature: Value;
  /** Teacher layer of each student layer, counted from 1, when the user gave one. */
  readonly layerMap?: readonly number[];
  /** PKD: compare [CLS] states on the unit sphere. */
  readonly normalizePatience: boolean;
}

export interface Recipe {
  readonly name: string;
  /** One line for lists and model cards. */
  readonly summary: string;
  /** Learns from a teacher; if false no teacher is needed. */
  readonly teacher: boolean;
  readonly defaults: Partial<Hyper>;
  /** Each term is [1]: the sum of its rows, weighted to a mean by the batch. */
  readonly terms: (inputs: RecipeInputs) => Readonly<Record<string, Value>>;
  /** What each term counts in the loss at this step. */
  readonly weights: (hyper: Hyper, regression: boolean) => Readonly<Record<string, number>>;
}
