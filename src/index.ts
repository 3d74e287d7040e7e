// The library's public names, in the order data flows. Which runtime it is bound to is chosen by the conditions of package.json's imports
// when dist/ is built, a bundle a runtime.

import { runtime } from "#runtime";
import { distill as distillOn } from "./train/chain.ts";
import { Classifier, type ClassifierOptions } from "./train/classifier.ts";
import type { DistillOptions } from "./train/distill.ts";
import { type Diagnosis, doctor as doctorOn } from "./train/doctor.ts";
import { type FinetuneOptions, finetune as finetuneOn } from "./train/finetune.ts";
import { Run } from "./train/handle.ts";
import type { Metrics } from "./train/metrics.ts";
import type { Model } from "./train/model.ts";
import { type PlanOptions, plan as planOn, type RunPlan } from "./train/plan.ts";
import { type PretrainOptions, pretrain as pretrainOn } from "./train/pretrain.ts";
import type { DataSource, FolderSource } from "./train/session.ts";

export type { DatasetOptions } from "./data/dataset.ts";
export type { ErrorCode } from "./errorCodes.ts";
export { InputError, LimbeckError } from "./errors.ts";
export type { Profile, ProfileRow } from "./executors/profile.ts";
export { recipes } from "./recipes/index.ts";
export type { Recipe, Stage, StageOptions, Term } from "./recipes/recipe.ts";
export type { ClassifierOptions } from "./train/classifier.ts";
export { Classifier } from "./train/classifier.ts";
export type { DistillOptions } from "./train/distill.ts";
export type { Diagnosis } from "./train/doctor.ts";
export type { FinetuneOptions } from "./train/finetune.ts";
export type { Run } from "./train/handle.ts";
export type { Metrics } from "./train/metrics.ts";
export type { Model } from "./train/model.ts";
export type { DeviceOptions } from "./train/options.ts";
export type { PlanOptions, RunPlan } from "./train/plan.ts";
export type { Prediction, TextOrPair } from "./train/predictions.ts";
export type { PretrainOptions } from "./train/pretrain.ts";
export type { TrainingEvent } from "./train/run.ts";
export type { DataSource, FolderSource } from "./train/session.ts";
export type { TrainingResult } from "./train/train.ts";
export { VERSION } from "./version.ts";

/** Trains a BERT folder on labelled text. */
export function finetune(options: FinetuneOptions): Run {
  return new Run(finetuneOn(runtime, options));
}

/** Trains a small student from one or several teachers. */
export function distill(options: DistillOptions): Run {
  return new Run(distillOn(runtime, options));
}

/** Trains a masked-LM head, and the model under it if asked, on plain text. */
export function pretrain(options: PretrainOptions): Run {
  return new Run(pretrainOn(runtime, options));
}

/** What a run would take: nothing is trained but a few steps that are measured. */
export function plan(options: PlanOptions): Promise<RunPlan> {
  return planOn(runtime, options);
}

/** What this machine has for limbeck: threads, GPU adapters, and how right the kernels are on each. */
export function doctor(): Promise<Diagnosis> {
  return doctorOn(runtime);
}

/** Opens a model folder for use. */
export function loadModel(source: FolderSource | Model, options: ClassifierOptions = {}): Promise<Classifier> {
  return Classifier.open(runtime, source, options);
}

/** Metrics of a model on a file of examples. */
export async function evaluate(
  options: ClassifierOptions & { model: FolderSource | Model; data: DataSource },
): Promise<Metrics> {
  const classifier = await loadModel(options.model, options);
  try {
    return (await classifier.evaluate(options.data)).metrics;
  } finally {
    classifier.dispose();
  }
}
