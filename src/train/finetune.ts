// Fine-tuning: a Hugging Face folder and labelled text become a classifier (or a regressor).

import { InputError } from "../errors.ts";
import { hard } from "../recipes/hard.ts";
import { IDLE } from "../recipes/recipe.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { type Labels, loadModel, type Model, requireLabels } from "./model.ts";
import { TRAINING } from "./options.ts";
import { baseName, type DataSource, type FolderSource, openFolder } from "./session.ts";
import { stagesOf } from "./stages.ts";
import { beginning, type CommonOptions, labelsOfData, readData, type Setup, type TrainingRun, train } from "./train.ts";

export interface FinetuneOptions extends CommonOptions {
  /** The base: a folder, or a model in memory. */
  readonly model: FolderSource | Model;
  readonly train: DataSource;
}

export async function* finetune(runtime: Runtime, options: FinetuneOptions): TrainingRun {
  yield* beginning(runtime, options);
  return yield* train(runtime, await finetuneSetup(runtime, options), options);
}

/** Everything that the options name, loaded and checked; nothing is trained. */
export async function finetuneSetup(runtime: Runtime, options: FinetuneOptions): Promise<Setup> {
  if (options.data?.softLabels)
    throw new InputError("SOFT_LABELS", "fine-tuning learns from labels alone; soft labels are for distill.");
  const data = await readData(runtime, options);
  const { kind, label2id, file } = data.train;
  if (kind === "classification" && !label2id)
    throw new InputError(
      "NO_LABELS",
      "fine-tuning learns from labels, and this file has none; name the column with --label-column.",
      {
        where: file,
      },
    );
  const labels = labelsOfData(data.train);
  const model = await loadBase(runtime, options, labels);
  return {
    command: "finetune",
    summary: `${baseName(model.name)} fine-tuned on ${baseName(file)}`,
    student: model,
    teachers: [],
    recipe: hard,
    hyper: IDLE,
    stages: stagesOf(hard, options).stages,
    argmaxTargets: false,
    data,
    resolved: { model: model.name },
  };
}

async function loadBase(runtime: Runtime, options: FinetuneOptions, labels: Labels): Promise<Model> {
  const base = options.model;
  if (typeof base === "object" && "weights" in base) return requireLabels(base, labels, "the training data");
  const { seed = TRAINING.seed, allowNonfinite } = options;
  return loadModel(openFolder(runtime, base), { labels, seed, allowNonfinite });
}
