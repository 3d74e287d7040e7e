// What finetune and distill share: data and device are opened, the loop runs, the result is judged and saved.

import type { Dataset, DatasetOptions } from "../data/dataset.ts";
import { InputError } from "../errors.ts";
import { outputExists } from "../formats/files.ts";
import { ADAMW } from "../optim/adamw.ts";
import type { Hyper, Recipe } from "../recipes/recipe.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { type EncodedSet, encode, measureLatency, predictAll, score, truncationNote } from "./evaluate.ts";
import { trainingPrograms } from "./largest.ts";
import { classes, type Metrics } from "./metrics.ts";
import { type Labels, labelsOf, type Model, parameterCount, requirePairs } from "./model.ts";
import { checkNumbers, type DeviceOptions, TRAINING, type TrainingOptions } from "./options.ts";
import { type Judged, judge, saveRun } from "./output.ts";
import type { StepStructure } from "./programs.ts";
import { LastingDevice, LastingPredictor, LastingTrainer } from "./recovery.ts";
import { type LoopResult, type TrainingEvent, trainingLoop } from "./run.ts";
import { type DataSource, type FolderSource, maxLengthFor, openData, openDevice, openFolder } from "./session.ts";
import { NonfiniteError } from "./trainer.ts";

/** Options of every training command. */
export interface CommonOptions extends Partial<TrainingOptions>, Partial<DeviceOptions> {
  readonly train: DataSource;
  readonly eval?: DataSource;
  /** How the data files are read. */
  readonly data?: DatasetOptions;
  /** Where the folder goes; without it the model is only returned. */
  readonly out?: FolderSource;
  readonly overwrite?: boolean;
  readonly allowNonfinite?: boolean;
  /** Stops after the current step; what was trained until then is judged and saved. */
  readonly signal?: AbortSignal;
}

export interface TrainingResult {
  readonly model: Model;
  readonly steps: number;
  /** False when the signal stopped the run. */
  readonly complete: boolean;
  readonly seconds: number;
  readonly metrics?: Metrics;
  /** The models that were compared on the evaluation data, teachers first. */
  readonly judged: readonly Judged[];
  /** SHA-256 of model.safetensors, when a folder was written. */
  readonly sha256?: string;
  readonly notes: readonly string[];
}

export type TrainingRun = AsyncGenerator<TrainingEvent, TrainingResult>;

export function trainingOptions(options: Partial<TrainingOptions>): TrainingOptions {
  checkNumbers({ ...options });
  const given = Object.entries(options).filter(([key, value]) => key in TRAINING && value !== undefined);
  return { ...TRAINING, ...Object.fromEntries(given) };
}

/** An output folder that cannot be written is refused before anything is read or trained. */
export async function checkOutput(runtime: Runtime, { out, overwrite }: CommonOptions): Promise<void> {
  if (out === undefined) return;
  const files = openFolder(runtime, out);
  if (!overwrite && (await files.exists())) throw outputExists(files.folder);
}

export interface Data {
  readonly train: Dataset;
  readonly eval?: Dataset;
  readonly notes: readonly string[];
}

/** Training and evaluation data with the labels of a model, or with those that the training file brings. */
export async function readData(runtime: Runtime, options: CommonOptions, labels?: Labels): Promise<Data> {
  const known: DatasetOptions = { ...options.data };
  if (labels === null) known.task = "regression";
  else if (labels) known.label2id = Object.fromEntries(labels.map((label, id) => [label, id]));
  const train = await openData(runtime, options.train, known);
  if (options.eval === undefined) return { train, notes: train.notes };
  const evaluation = await openData(runtime, options.eval, { ...known, task: train.kind, label2id: train.label2id });
  if (evaluation.pair !== train.pair)
    throw new InputError(
      "EVAL_COLUMNS",
      "training and evaluation data differ: one has sentence pairs, the other single sentences.",
      {
        where: evaluation.file,
      },
    );
  return { train, eval: evaluation, notes: [...train.notes, ...evaluation.notes] };
}

export interface Setup {
  readonly command: "finetune" | "distill";
  readonly summary: string;
  readonly student: Model;
  readonly teachers: readonly Model[];
  readonly recipe: Recipe;
  readonly hyper: Hyper;
  readonly layerMap?: readonly number[];
  readonly normalizePatience: boolean;
  /** The first teacher's class is taken as every row's label. */
  readonly argmaxTargets: boolean;
  readonly data: Data;
  /** What the command resolved beyond the training options, for the record. */
  readonly resolved: Readonly<Record<string, unknown>>;
}

/** What of a setup is structure of its programs. */
export function structureOf(setup: Setup): StepStructure {
  return {
    student: { owner: "student", config: setup.student.config },
    teachers: setup.teachers.map(({ config }, i) => ({ owner: `teacher${i}`, config })),
    recipe: setup.recipe,
    regression: labelsOf(setup.student.config) === null,
    layerMap: setup.layerMap,
    normalizePatience: setup.normalizePatience,
  };
}

export async function* train(runtime: Runtime, setup: Setup, common: CommonOptions): TrainingRun {
  const options = trainingOptions(common);
  const { student, teachers, data } = setup;
  const all = [...teachers, student];
  for (const model of all) requirePairs(model, data.train.pair);
  const maxLength = maxLengthOf(setup, common);
  const events: TrainingEvent[] = [];
  const notes: string[] = [];
  const tell = (text: string): TrainingEvent => {
    notes.push(text);
    return { type: "note", text };
  };

  let trainSet = encode(data.train, student.tokenizer, maxLength);
  const evalSet = data.eval && encode(data.eval, student.tokenizer, maxLength);
  const structure = structureOf(setup);
  const programs = () => trainingPrograms(structure, options.batchSize, trainSet.rows, evalSet?.rows);
  const instead = () => openDevice(runtime, { ...common, device: "wasm" }, programs);
  const device = new LastingDevice(await openDevice(runtime, common, programs), instead);
  try {
    yield tell(device.choice);
    for (const text of [...all.flatMap((model) => model.notes), ...data.notes]) yield tell(text);

    for (const [dataset, set] of [
      [data.train, trainSet] as const,
      ...(data.eval && evalSet ? [[data.eval, evalSet] as const] : []),
    ])
      if (set.truncated > 0) yield tell(truncationNote(dataset, set, maxLength));

    for (const [i, teacher] of teachers.entries()) await device.place(`teacher${i}`, teacher.weights);
    await device.place("student", student.weights);

    const predictors = structure.teachers.map((placed) => new LastingPredictor(device, placed));
    const judged: Judged[] = [];
    let teacherLogits: Float32Array | undefined;
    for (const [i, teacher] of teachers.entries()) {
      const logits = evalSet && (await predictAll(predictors[i], evalSet.rows));
      teacherLogits ??= logits;
      const metrics = logits && evalSet && score(logits, evalSet, teacher.config.num_labels);
      judged.push(judge(teachers.length > 1 ? `teacher ${i + 1}` : "teacher", teacher, { metrics }));
    }
    if (setup.argmaxTargets) trainSet = await withArgmax(predictors[0], trainSet);
    checkLabels(setup, trainSet, data.train);
    for (const text of device.notes()) yield tell(text);

    let stopped: string | undefined;
    let failure: NonfiniteError | undefined;
    let outcome: LoopResult = { steps: 0, planned: 0, seconds: 0, tokens: 0 };
    const optimizer = { ...ADAMW, weightDecay: options.weightDecay, maxNorm: options.maxGradNorm };
    const trainer = new LastingTrainer(device, structure, { optimizer, seed: options.seed });
    const loop = trainingLoop({
      ...{ trainer, hyper: setup.hyper, options, train: trainSet, eval: evalSet, teacherLogits },
      parameters: parameterCount(student.config),
      signal: common.signal,
    });
    try {
      for (;;) {
        const next = await loop.next();
        if (next.done) {
          outcome = next.value;
          break;
        }
        const event = next.value;
        if (event.type === "note") notes.push(event.text);
        if (event.type === "start") outcome = { ...outcome, planned: event.steps };
        if (event.type === "step") outcome = { ...outcome, steps: event.step };
        events.push(event);
        yield event;
      }
      if (outcome.steps < outcome.planned) stopped = "the run was interrupted";
    } catch (error) {
      if (!(error instanceof NonfiniteError)) throw error;
      [failure, stopped] = [error, error.message];
    }

    const weights = await trainer.finish();
    const model: Model = { ...student, weights };
    const latency = evalSet && (await measureLatency(new LastingPredictor(device, structure.student), evalSet.rows));
    for (const [i, predictor] of predictors.entries())
      if (evalSet) judged[i] = { ...judged[i], millisecondsPerSentence: await measureLatency(predictor, evalSet.rows) };
    judged.push(
      judge(teachers.length > 0 ? "student" : "model", model, {
        metrics: outcome.metrics,
        millisecondsPerSentence: latency,
      }),
    );

    for (const text of device.notes()) yield tell(text);
    const record = {
      ...{ command: setup.command, summary: setup.summary, device: device.choice, train: data.train, eval: data.eval },
      options: { ...options, maxLength, ...setup.resolved },
      ...{ judged, events, notes, seconds: outcome.seconds, stopped },
      steps: { done: outcome.steps, planned: outcome.planned },
    };
    const saved =
      common.out === undefined
        ? undefined
        : await saveRun(openFolder(runtime, common.out), model, record, common.overwrite ?? false);
    if (failure) throw failure;
    return {
      ...{ model, judged, notes, steps: outcome.steps, seconds: outcome.seconds, metrics: outcome.metrics },
      complete: stopped === undefined,
      sha256: saved?.sha256,
    };
  } finally {
    device.dispose();
  }
}

/** The length that the options name, or the default, or what the models allow if that is less. */
export function maxLengthOf({ teachers, student }: Setup, options: Partial<TrainingOptions>): number {
  const configs = [...teachers, student].map(({ config }) => config);
  const least = Math.min(TRAINING.maxLength, ...configs.map((config) => config.max_position_embeddings));
  return maxLengthFor(configs, options.maxLength ?? least);
}

async function withArgmax(predictor: LastingPredictor, set: EncodedSet): Promise<EncodedSet> {
  const predicted = classes(await predictAll(predictor, set.rows), predictor.placed.config.num_labels);
  return { ...set, rows: set.rows.map((row, i) => ({ ...row, label: predicted[i] })) };
}

function checkLabels({ recipe }: Setup, set: EncodedSet, { file }: Dataset): void {
  if (recipe.teacher || set.rows.some(({ label }) => label !== undefined)) return;
  throw new InputError("NO_LABELS", `recipe "${recipe.name}" learns from labels, and no row has one.`, { where: file });
}
