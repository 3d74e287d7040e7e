// What finetune, distill and pretrain share: data and device are opened, the loop runs, the result is judged and saved.

import type { Dataset, DatasetOptions } from "../data/dataset.ts";
import { DistinctTexts } from "../data/examples.ts";
import { InputError } from "../errors.ts";
import { Profile } from "../executors/profile.ts";
import type { Task } from "../formats/config.ts";
import { outputExists } from "../formats/files.ts";
import type { JsonObject } from "../formats/json.ts";
import { isRemote } from "../formats/remote.ts";
import { optimizerNamed } from "../optim/index.ts";
import type { OptimizerOptions } from "../optim/optimizer.ts";
import { needsTeacher, type Recipe } from "../recipes/recipe.ts";
import { readsVocabulary } from "../recipes/vocabulary.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import type { CacheFolder } from "./cacheFolder.ts";
import { bytesOfCheckpoint, type Checkpoint, partsOf, stateOf } from "./checkpoint.ts";
import { type EncodedSet, encode, measureLatency, perplexity, predictAll, score, truncationNote } from "./evaluate.ts";
import { type Identity, identityOf, modelIdentity } from "./identity.ts";
import { judgingPrograms, trainingPrograms } from "./largest.ts";
import { argmax, BEST_BY, type BestBy, classes, type Metrics } from "./metrics.ts";
import {
  forTasks,
  type Labels,
  labelsOf,
  loadModel,
  type Model,
  parameterCount,
  requirePairs,
  type Weights,
} from "./model.ts";
import { type DeviceOptions, TRAINING, type TrainingOptions } from "./options.ts";
import { type Finished, type Judged, judge, saveRun } from "./output.ts";
import { type Placed, type StepStructure, trainedParameters } from "./programs.ts";
import { LastingDevice, LastingPredictor, LastingTrainer } from "./recovery.ts";
import {
  type Best,
  type LoopState,
  plannedSteps,
  type Recorded,
  recorded,
  type TrainingEvent,
  trainingLoop,
  type VaryingHyper,
} from "./run.ts";
import { KEEPING, type KeepingOptions, RunFolder, recordOf, resumes } from "./runFolder.ts";
import { type DataSource, type FolderSource, maxLengthFor, openData, openDevice, openFolder } from "./session.ts";
import type { RunStage, StageChoice } from "./stages.ts";
import type { TrainerState } from "./state.ts";
import type { Substitutes } from "./substitutes.ts";
import { hashOfRows, openTaught, type TaughtRows } from "./taught.ts";
import { openText, TextRows } from "./text.ts";
import { NonfiniteError } from "./trainer.ts";

/** Options of every training command. */
export interface CommonOptions extends StageChoice, KeepingOptions, Partial<DeviceOptions> {
  /** The task's rows; not needed where every stage reads plain text with masks. */
  readonly train?: DataSource;
  readonly eval?: DataSource;
  /** Plain text for the stages that read it, a file or several; labels in it are not looked at. */
  readonly text?: DataSource | readonly DataSource[];
  /** Plain text by which masked-LM is judged. */
  readonly evalText?: DataSource;
  /** How the data files are read. */
  readonly data?: DatasetOptions;
  /** Where the folder goes; without it the model is only returned. */
  readonly out?: FolderSource;
  /** Replaces the model that is in `out`. */
  readonly overwrite?: boolean;
  readonly allowNonfinite?: boolean;
  /** The model of the last stage is that of the evaluation which was best by this metric, not of the last update; `out` keeps it until then. */
  readonly bestBy?: BestBy;
  /** A step whose loss or gradient is NaN or infinite is skipped; so many in a row end the run. 10 unless given. */
  readonly maxBadSteps?: number;
  /** Takes the time of every kernel, for `profile` of the result; the run takes a little longer. */
  readonly profile?: boolean;
  /** Stops after the current step: a checkpoint is written, and what was trained until then is judged and saved. */
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
  /** What was written: the student's folder, or an assistant's when the run stopped there. */
  readonly folder?: string;
  /** SHA-256 of model.safetensors, when a folder was written. */
  readonly sha256?: string;
  readonly notes: readonly string[];
  /** Where the time of the kernels went, when the options asked for it. */
  readonly profile?: Profile;
}

export type TrainingRun = AsyncGenerator<TrainingEvent, TrainingResult>;

/** An output folder that cannot be written is refused before anything is read or trained. */
export async function checkOutput(runtime: Runtime, options: CommonOptions): Promise<void> {
  const { out, overwrite } = options;
  if (typeof out === "string" && isRemote(out))
    throw new InputError("READ_ONLY_FOLDER", "on a server files are only read; name a folder of this machine.", {
      where: "--out",
    });
  const files = out === undefined ? undefined : openFolder(runtime, out);
  if (!files && resumes(options))
    throw new InputError("RESUME_WHERE", "there is no folder with a run that could go on; name it with --out.", {
      where: "--resume",
    });
  const { bestBy } = options;
  if (
    bestBy !== undefined &&
    (!BEST_BY.includes(bestBy) || !files || options.saveStrategy === "no" || (!options.eval && !options.evalText))
  )
    throw new InputError(
      "BEST_BY",
      `"${bestBy}" is to choose the model: that is one of ${BEST_BY.join(", ")}, of the rows of --eval (or --eval-text), in a run with --out and checkpoints.`,
      { where: "--best-by" },
    );
  if (files && !overwrite && !resumes(options) && (await files.exists())) throw outputExists(files.folder);
}

/** Checks the output folder; of a run that is complete it is said at once that it is, and what takes its time. */
export async function* beginning(runtime: Runtime, options: CommonOptions): AsyncGenerator<TrainingEvent, void> {
  await checkOutput(runtime, options);
  if (options.out === undefined || !resumes(options)) return;
  const files = openFolder(runtime, options.out);
  if ((await files.exists()) && (await recordOf(files))?.complete === true)
    yield note(
      `the run in ${files.folder} is complete; data and models are read to see whether they are still the same`,
    );
}

export interface Data {
  readonly train: Dataset;
  readonly eval?: Dataset;
  /** Plain text, for stages that read it. */
  readonly text?: Dataset;
  readonly evalText?: Dataset;
  readonly notes: readonly string[];
}

/** The plain text of a run. */
export async function readTexts(
  runtime: Runtime,
  { text: given, evalText: judging }: CommonOptions,
): Promise<Pick<Data, "text" | "evalText" | "notes">> {
  const text = given === undefined ? undefined : await openText(runtime, given);
  const evalText = judging === undefined ? undefined : await openText(runtime, judging);
  return { text, evalText, notes: [...(text?.notes ?? []), ...(evalText?.notes ?? [])] };
}

/** Training and evaluation data with the labels of a model, or with those that the training file brings. */
export async function readData(runtime: Runtime, options: CommonOptions, labels?: Labels): Promise<Data> {
  const known: DatasetOptions = { ...options.data };
  if (labels === null) known.task = "regression";
  else if (labels) known.label2id = Object.fromEntries(labels.map((label, id) => [label, id]));
  if (options.train === undefined)
    throw new InputError("NO_TRAINING_DATA", "there is a stage that learns from rows of the task; give them.", {
      where: "--train",
    });
  const { text, evalText, notes: textNotes } = await readTexts(runtime, options);
  const train = await openData(runtime, options.train, known);
  if (options.eval === undefined) return { train, text, evalText, notes: [...train.notes, ...textNotes] };
  const { tagColumn, pairTagColumn, softLabels, ...columns } = known;
  const evaluation = await openData(runtime, options.eval, { ...columns, task: train.kind, label2id: train.label2id });
  if (evaluation.pair !== train.pair)
    throw new InputError(
      "EVAL_COLUMNS",
      "training and evaluation data differ: one has sentence pairs, the other single sentences.",
      {
        where: evaluation.file,
      },
    );
  const notes = [...train.notes, ...evaluation.notes, ...textNotes, ...overlap(train, evaluation)];
  return { train, eval: evaluation, text, evalText, notes };
}

/** What makes an evaluation tell something else than it seems to. */
function* overlap(train: Dataset, evaluation: Dataset): Generator<string> {
  const known = new DistinctTexts(train.examples);
  let seen = 0;
  for (const example of evaluation.examples) if (known.has(example)) seen++;
  const all = evaluation.examples.length;
  if (seen > 0) yield `warning: ${evaluation.file}: ${seen} of ${all} rows are training rows, too`;
}

/** Labels in the order of their ids; null for regression. */
export function labelsOfData({ kind, label2id = {} }: Dataset): Labels {
  if (kind === "regression") return null;
  const byId = Object.entries(label2id).sort((a, b) => a[1] - b[1]);
  return byId.map(([label]) => label);
}

export interface Setup {
  readonly command: "finetune" | "distill" | "pretrain";
  readonly summary: string;
  readonly student: Model;
  readonly teachers: readonly Model[];
  /** Teaches the stages on plain text in place of the others: the model before any task. */
  readonly textTeacher?: Model;
  readonly recipe: Recipe;
  readonly hyper: VaryingHyper;
  /** At least one; the last is the task. */
  readonly stages: readonly RunStage[];
  /** Where what the teachers say is kept. */
  readonly cache?: CacheFolder;
  /** The file's soft labels take the teachers' place in the stages that read its rows. */
  readonly softLabels?: boolean;
  /** The teacher's vocabulary is not the student's: its own tokenizer reads the rows, once, and its logits are their soft labels. */
  readonly foreign?: boolean;
  /** The first teacher's class is taken as every row's label. */
  readonly argmaxTargets: boolean;
  readonly data: Data;
  /** What makes copies of the training rows; they are not among them yet. */
  readonly substitutes?: Substitutes;
  /** Of everything that decides the weights; where a later run must know whether this was its like. */
  readonly fingerprint?: string;
  /** What the command resolved beyond the training options, for the record. */
  readonly resolved: Readonly<Record<string, unknown>>;
}

type Models = Pick<Setup, "student" | "teachers" | "textTeacher" | "softLabels" | "foreign">;

/** Weights by their owner in an executor. */
export function placesOf({ student, teachers, textTeacher }: Models): [owner: string, weights: Weights][] {
  const all: [string, Model | undefined][] = [
    ...teachers.map((teacher, i): [string, Model] => [`teacher${i}`, teacher]),
    ...([
      ["textTeacher", textTeacher],
      ["student", student],
    ] as [string, Model | undefined][]),
  ];
  return all.flatMap(([owner, model]) => (model ? [[owner, model.weights]] : []));
}

function placedTeachers({ teachers }: Models, { options }: RunStage): Placed[] {
  return teachers.map(({ config }, i) => ({ owner: `teacher${i}`, config, half: options.fp16 }));
}

/** What of a stage is structure of its programs. */
export function structureOf(setup: Models, run: RunStage): StepStructure {
  const { student, textTeacher, softLabels, foreign } = setup;
  const { stage, options } = run;
  const half = options.fp16;
  const ofText = stage.data === "text" && textTeacher;
  return {
    ...((softLabels || foreign) && stage.data !== "text" ? { softLabels: student.config.num_labels } : {}),
    student: { owner: "student", config: student.config, half },
    teachers: ofText
      ? [{ owner: "textTeacher", config: ofText.config, half }]
      : foreign
        ? []
        : placedTeachers(setup, run),
    stage,
    regression: labelsOf(student.config) === null,
    optimizer: optimizerNamed(options.optimizer),
  };
}

/** What of a stage the optimiser is told. */
export function optimizerOptions(options: TrainingOptions): Partial<OptimizerOptions> {
  const { weightDecay, maxGradNorm: maxNorm, adamBeta1, adamBeta2, adamEpsilon } = options;
  return {
    ...{ weightDecay, maxNorm },
    ...(adamBeta1 === undefined ? {} : { beta1: adamBeta1 }),
    ...(adamBeta2 === undefined ? {} : { beta2: adamBeta2 }),
    ...(adamEpsilon === undefined ? {} : { epsilon: adamEpsilon }),
  };
}

/** A recipe that these models cannot follow fails now, not after an evaluation. */
export function checkStages(setup: Models & Pick<Setup, "stages">): void {
  for (const stage of setup.stages) trainedParameters(structureOf(setup, stage));
}

export async function* train(runtime: Runtime, setup: Setup, common: CommonOptions): TrainingRun {
  if (common.out === undefined) return yield* trainIn(undefined, runtime, setup, common);
  const folder = yield* withTold(RunFolder.open(runtime, openFolder(runtime, common.out), common), note);
  try {
    return yield* trainIn(folder, runtime, setup, common);
  } finally {
    await folder.close();
  }
}

const note = (text: string): TrainingEvent => ({ type: "note", text });

async function* trainIn(
  folder: RunFolder | undefined,
  runtime: Runtime,
  given: Setup,
  common: CommonOptions,
): TrainingRun {
  const { teachers, data, stages } = given;
  const { options } = stages[stages.length - 1];
  const all = [...teachers, ...(given.textTeacher ? [given.textTeacher] : []), given.student];
  for (const model of all) requirePairs(model, data.train.pair);
  const maxLength = maxLengthOf(given, common);

  const { tokenizer } = given.student;
  let trainSet = data.train === data.text ? NO_ROWS : encode(data.train, tokenizer, maxLength);
  const evalSet = data.eval && encode(data.eval, tokenizer, maxLength);
  // What the teachers read.
  const reads = (dataset: Dataset) => encode(dataset, given.foreign ? teachers[0].tokenizer : tokenizer, maxLength);
  const askedSet = given.foreign ? reads(data.train) : undefined;
  const judgedSet = given.foreign && data.eval ? reads(data.eval) : evalSet;
  const text = data.text && new TextRows(data.text, tokenizer, maxLength);
  const evalText = data.evalText && new TextRows(data.evalText, tokenizer, maxLength);
  const texts = new Map<RunStage, EncodedSet>();
  const judging = new Map<RunStage, EncodedSet>();
  for (const run of stages)
    if (run.stage.data === "text" && text) {
      texts.set(run, text.of(run));
      if (evalText) judging.set(run, evalText.of(run, 0));
    }
  const structures = stages.map((stage) => structureOf(given, stage));
  const asked = placedTeachers(given, stages[stages.length - 1]);
  const rowsOf = (run: RunStage) => texts.get(run) ?? trainSet;

  const identity = folder && {
    ...(await identityOf(given, common)),
    teachers: await Promise.all(teachers.map(modelIdentity)),
    // What became of the data: token ids, of copies too.
    rows: Object.fromEntries(
      await Promise.all(stages.map(async (run) => [run.name, await hashOfRows(rowsOf(run).rows)])),
    ),
  };
  const resumed = folder && identity && (yield* resumedIn(folder, identity, structures, stages));
  if (resumed && "finished" in resumed) return await finishedRun(folder as RunFolder, resumed.finished, given);
  const { before, firstStage = 0 } = resumed ?? {};
  const sizes = structures.map(bytesOfCheckpoint);
  await folder?.requireSpace(Math.max(...sizes.map(({ checkpoint }) => checkpoint)), sizes[0].model);
  const setup = resumed ? { ...given, student: { ...given.student, weights: resumed.weights } } : given;
  const { student } = setup;
  const events: Recorded[] = [...(before?.events ?? [])];
  const notes: string[] = [...(before?.notes ?? [])];
  // What is said again on the way to the checkpoint is in its record already.
  let behind = before === undefined;
  const tell = (text: string): TrainingEvent => {
    if (behind) notes.push(text);
    return note(text);
  };

  const programs = function* () {
    for (const [i, run] of stages.entries()) {
      const evaluated = { rows: evalSet?.rows ?? [], text: judging.get(run)?.rows ?? [] };
      yield* trainingPrograms(structures[i], run.options.batchSize, rowsOf(run).rows, evaluated);
    }
    if (askedSet) yield* judgingPrograms(asked[0], [...askedSet.rows, ...(judgedSet?.rows ?? [])]);
  };
  const profile = common.profile ? new Profile() : undefined;
  // In the place of a GPU, WASM rounds to half precision where the GPU did.
  const instead = () => openDevice(runtime, { ...common, device: "wasm" }, programs, { profile });
  const opened = await openDevice(runtime, common, programs, { profile, fp16: options.fp16 });
  const device = new LastingDevice(opened, instead);
  try {
    yield tell(device.choice);
    const moved =
      before &&
      before.numerics !== device.numerics &&
      `the checkpoint was computed by ${before.numerics}: on ${device.numerics} the run will not end with the bytes that it would have had there`;
    for (const text of [resumed?.forced ?? [], moved || []].flat()) {
      notes.push(text);
      yield note(text);
    }
    for (const text of [...all.flatMap((model) => model.notes), ...data.notes]) yield tell(text);

    for (const [dataset, set] of [
      [data.train, trainSet] as const,
      ...(data.eval && evalSet ? [[data.eval, evalSet] as const] : []),
      ...[...new Set(texts.values())].filter(cut).map((set) => [data.text as Dataset, set] as const),
    ])
      if (cut(set)) yield tell(truncationNote(dataset, set, maxLength));

    for (const [owner, weights] of placesOf(setup)) await device.place(owner, weights);

    const { student: placed } = structures[structures.length - 1];
    const predictors = asked.map((teacher) => new LastingPredictor(device, teacher));
    const judged: Judged[] = [];
    let teacherLogits: Float32Array | undefined;
    for (const [i, teacher] of teachers.entries()) {
      const logits = judgedSet && (await predictAll(predictors[i], judgedSet.rows));
      teacherLogits ??= logits;
      const { rows, masking } = judging.get(stages[stages.length - 1]) ?? NO_ROWS;
      const metrics = masking
        ? await perplexity(predictors[i], { rows, masking })
        : logits && evalSet && score(logits, evalSet, teacher.config.num_labels);
      judged.push(judge(teachers.length > 1 ? `teacher ${i + 1}` : "teacher", teacher, { metrics }));
    }
    if (askedSet) {
      const kept = setup.cache ? ", and what it says is not kept in the cache" : "";
      yield tell(`${teachers[0].name} has another vocabulary: it reads the rows with its own tokenizer, once${kept}`);
      trainSet = withLogits(trainSet, await predictAll(predictors[0], askedSet.rows), teachers[0].config.num_labels);
    }
    if (setup.argmaxTargets)
      trainSet =
        setup.softLabels || setup.foreign ? withSoftArgmax(trainSet) : await withArgmax(predictors[0], trainSet);
    checkLabels(setup, trainSet, data.train);
    for (const text of device.notes()) yield tell(text);

    const weightsOf = new Map(placesOf(setup));
    const taughtRows = (run: RunStage, structure: StepStructure): TaughtRows => {
      const { rows } = rowsOf(run);
      const { batchSize, gradientAccumulationSteps } = run.options;
      const reads = plannedSteps(rows.length, run.options) * batchSize * gradientAccumulationSteps;
      return { device, structure, weights: weightsOf, rows, reads, signal: common.signal };
    };
    let stopped: string | undefined;
    let failure: NonfiniteError | undefined;
    let best: Best | undefined;
    let weights = student.weights;
    let metrics: Metrics | undefined;
    let [seconds, steps, stepsBefore] = before ? [before.seconds, before.step, before.before] : [0, 0, 0];
    const planned = stages.reduce((sum, run) => sum + plannedSteps(rowsOf(run).rows.length, run.options), 0);
    for (const [i, run] of stages.entries()) {
      if (i < firstStage) continue;
      const last = i === stages.length - 1;
      const optimizer = optimizerOptions(run.options);
      const taught = setup.cache && (yield* withTold(openTaught(setup.cache, taughtRows(run, structures[i])), tell));
      const { maxBadSteps } = common;
      const how = { optimizer, seed: run.options.seed, taught: taught !== undefined, maxBadSteps };
      const here = i === firstStage ? resumed : undefined;
      const trainer = new LastingTrainer(device, structures[i], how, here?.start);
      // Twice the size of the student: not to be kept for the rest of the run.
      if (here) here.start = undefined;
      const save = async (loop: LoopState): Promise<TrainingEvent> => {
        const state = await trainer.snapshot();
        const step = stepsBefore + loop.step;
        const to = await (folder as RunFolder).save({
          ...{ step, before: stepsBefore, stage: run.name, loop, events, notes, seconds, numerics: device.numerics },
          ...{ identity: identity as Identity, ...partsOf(state, placed.owner, weights) },
        });
        return { type: "checkpoint", step, folder: to };
      };
      const loop = trainingLoop({
        ...{ trainer, hyper: setup.hyper, options: run.options, train: rowsOf(run), taught },
        ...(judging.has(run) ? { evalText: judging.get(run) } : last ? { eval: evalSet, teacherLogits } : {}),
        ...(stages.length > 1 ? { stage: run.name } : {}),
        parameters: parameterCount(student.config),
        signal: common.signal,
        from: here?.before.loop,
        ...(last ? { bestBy: common.bestBy } : {}),
        ...(folder && common.saveStrategy !== "no" ? { save, saveSteps: common.saveSteps ?? KEEPING.saveSteps } : {}),
      });
      try {
        for (;;) {
          const next = await loop.next();
          if (next.done) {
            steps = stepsBefore + next.value.steps;
            seconds += next.value.seconds;
            if (last) metrics = next.value.metrics;
            if (next.value.steps < next.value.planned) stopped = "the run was interrupted";
            else if (last) best = next.value.best;
            break;
          }
          const event = next.value;
          if (event.type === "step") steps = stepsBefore + event.step;
          const lasting = recorded(event);
          if (behind && lasting) events.push(lasting);
          yield event.type === "note" ? tell(event.text) : event;
          behind = true;
        }
      } catch (error) {
        if (!(error instanceof NonfiniteError)) throw error;
        [failure, stopped] = [error, error.message];
      } finally {
        await taught?.close();
      }
      weights = await trainer.finish();
      if (best && stepsBefore + best.step < steps) {
        weights = await (folder as RunFolder).weightsOf(stepsBefore + best.step);
        metrics = best.metrics;
      }
      if (best)
        yield tell(`the model is that of step ${stepsBefore + best.step}, the best by ${common.bestBy}: ${best.value}`);
      stepsBefore = steps;
      if (stopped !== undefined) break;
    }

    const trained: Model = { ...student, weights };
    const tasks = lastTasks(setup);
    const model = tasks ? forTasks(trained, tasks, 0) : trained;
    const latency = evalSet && (await measureLatency(new LastingPredictor(device, placed), evalSet.rows));
    for (const [i, predictor] of predictors.entries())
      if (judgedSet)
        judged[i] = { ...judged[i], millisecondsPerSentence: await measureLatency(predictor, judgedSet.rows) };
    judged.push(
      judge(setup.command === "distill" ? "student" : "model", model, {
        metrics,
        millisecondsPerSentence: latency,
      }),
    );

    for (const text of device.notes()) yield tell(text);
    const record = {
      ...{ command: setup.command, summary: setup.summary, device: device.choice, train: data.train, eval: data.eval },
      ...{ text: data.text === data.train ? undefined : data.text, evalText: data.evalText },
      ...{ recipe: setup.recipe, fingerprint: setup.fingerprint, identity: identity ?? {} },
      keptCheckpoints: common.saveTotalLimit ?? 0,
      options: { ...options, maxLength, ...setup.resolved },
      stages: stages.length > 1 ? Object.fromEntries(stages.map((run) => [run.name, stageRecord(run)])) : undefined,
      ...{ judged, events, notes, seconds, stopped },
      steps: { done: steps, planned },
    };
    const saved = await folder?.finish((files) => saveRun(files, model, record, common.overwrite ?? false), !stopped);
    if (failure) throw failure;
    if (profile) await device.attempt((executor) => executor.finished());
    return {
      ...{ model, judged, notes, steps, seconds, metrics, profile },
      complete: stopped === undefined,
      ...{ folder: folder?.files.folder, sha256: saved?.sha256 },
    };
  } finally {
    device.dispose();
  }
}

interface Resumed {
  readonly before: Omit<Checkpoint, "trainer" | "weights">;
  readonly weights: Weights;
  readonly firstStage: number;
  /** What the trainer of that stage begins with. */
  start: TrainerState | undefined;
  readonly forced?: string;
}

/** The checkpoint that the run goes on from, as far as it fits these stages. */
async function* resumedIn(
  folder: RunFolder,
  identity: Identity,
  structures: readonly StepStructure[],
  stages: readonly RunStage[],
): AsyncGenerator<TrainingEvent, Resumed | { finished: JsonObject } | undefined> {
  const begun = yield* withTold(folder.begin(identity), note);
  if (!begun || "finished" in begun) return begun;
  const { checkpoint, name, forced } = begun;
  const firstStage = stages.findIndex(({ name }) => name === checkpoint.stage);
  if (firstStage < 0)
    throw new InputError("CHECKPOINT_STAGE", `the run has no stage "${checkpoint.stage}" that it could go on with.`, {
      where: name,
    });
  const start = stateOf(checkpoint, structures[firstStage], name);
  const { trainer, weights, ...before } = checkpoint;
  return { before, weights, firstStage, start, forced };
}

/** Of two heads, that of the last stage is what the student is for. */
function lastTasks({ student, stages }: Setup): readonly Task[] | undefined {
  const { tasks } = student.config;
  if (tasks === undefined || tasks.length < 2) return tasks;
  return [readsVocabulary(stages[stages.length - 1].stage) ? "maskedLm" : "classification"];
}

/** What a run came to that ended before this one began. */
async function finishedRun({ files }: RunFolder, record: JsonObject, setup: Setup): Promise<TrainingResult> {
  const model = await loadModel(files, { tasks: lastTasks(setup) });
  const { models, steps, seconds, notes, weights } = record as unknown as Finished;
  return {
    ...{ model: { ...model, name: setup.student.name }, steps: steps.done, complete: true, seconds, notes },
    ...{ metrics: models[models.length - 1].metrics, judged: models, folder: files.folder, sha256: weights.sha256 },
  };
}

/** A generator's words as events. */
async function* withTold<T>(of: AsyncGenerator<string, T>, tell: (text: string) => TrainingEvent) {
  for (;;) {
    const next = await of.next();
    if (next.done) return next.value;
    yield tell(next.value);
  }
}

/** The length that the options name, or the default, or what the models allow if that is less. */
export function maxLengthOf({ teachers, textTeacher, student }: Models, options: Partial<TrainingOptions>): number {
  const configs = [...teachers, ...(textTeacher ? [textTeacher] : []), student].map(({ config }) => config);
  const least = Math.min(TRAINING.maxLength, ...configs.map((config) => config.max_position_embeddings));
  return maxLengthFor(configs, options.maxLength ?? least);
}

async function withArgmax(predictor: LastingPredictor, set: EncodedSet): Promise<EncodedSet> {
  const predicted = classes(await predictAll(predictor, set.rows), predictor.placed.config.num_labels);
  return { ...set, rows: set.rows.map((row, i) => ({ ...row, label: predicted[i] })) };
}

const withLogits = (set: EncodedSet, logits: Float32Array, C: number): EncodedSet => ({
  ...set,
  rows: set.rows.map((row, i) => ({ ...row, soft: [...logits.subarray(i * C, (i + 1) * C)] })),
});

const withSoftArgmax = (set: EncodedSet): EncodedSet => ({
  ...set,
  rows: set.rows.map((row) => ({ ...row, label: argmax(Float32Array.from(row.soft ?? []), 0, row.soft?.length ?? 0) })),
});

const cut = ({ truncated }: EncodedSet) => truncated > 0;

const NO_ROWS: EncodedSet = { rows: [], truncated: 0, regression: false };

/** A stage's own numbers. */
function stageRecord({ options }: RunStage): Partial<TrainingOptions> {
  const { maxLength, seed, evalSteps, loggingSteps, fp16, ...own } = options;
  return own;
}

function checkLabels({ recipe, stages }: Setup, set: EncodedSet, { file }: Dataset): void {
  const learns = ({ stage }: RunStage) => stage.data !== "text" && !needsTeacher(stage);
  if (!stages.some(learns) || set.rows.some(({ label }) => label !== undefined)) return;
  throw new InputError("NO_LABELS", `recipe "${recipe.name}" learns from labels, and no row has one.`, { where: file });
}
