// The training loop: epochs, batches, schedule, evaluation, as a stream of events. Finetune and distill differ only in what they set up.

import { type Batch, countsOf, makeBatch } from "../data/batch.ts";
import { MASKED_SHARE, maskRows } from "../data/masking.ts";
import { batchesOf, epochOrder } from "../data/sampler.ts";
import { learningRateFactor, type Varying, valueAt, warmupSteps } from "../optim/schedule.ts";
import type { Hyper } from "../recipes/recipe.ts";
import { breather } from "./breather.ts";
import { type EncodedSet, meanLoss, perplexity, predictAll, score } from "./evaluate.ts";
import { type BestBy, isBetter, type Metrics } from "./metrics.ts";
import type { TrainingOptions } from "./options.ts";
import { LastingPredictor, type LastingTrainer, type Update } from "./recovery.ts";
import type { Taught } from "./taught.ts";
import { type StepResult, shapeOf } from "./trainer.ts";

export type TrainingEvent =
  | { readonly type: "note"; readonly text: string }
  | (OfStage & { readonly type: "start"; readonly steps: number; readonly rows: number; readonly parameters: number })
  | (StepResult &
      OfStage & {
        readonly type: "step";
        readonly step: number;
        readonly steps: number;
        readonly epoch: number;
        readonly learningRate: number;
        /** Real tokens a second since the last report. */
        readonly tokensPerSecond: number;
        readonly secondsLeft: number;
        readonly memoryBytes: number;
      })
  | (OfStage & {
      readonly type: "evaluation";
      readonly step: number;
      readonly epoch: number;
      readonly metrics: Metrics;
    })
  | { readonly type: "checkpoint"; readonly step: number; readonly folder: string };

type Kept = Exclude<TrainingEvent, { type: "note" | "checkpoint" }>;
/** What metrics.jsonl has of an event: all that a second run would say again, so nothing of time. */
export type Recorded = Kept extends infer E ? Omit<E, "tokensPerSecond" | "secondsLeft" | "memoryBytes"> : never;

export function recorded(event: TrainingEvent): Recorded | undefined {
  if (event.type === "note" || event.type === "checkpoint") return undefined;
  const { tokensPerSecond, secondsLeft, memoryBytes, ...lasting } = { ...NO_TIMES, ...event };
  return lasting;
}

const NO_TIMES = { tokensPerSecond: 0, secondsLeft: 0, memoryBytes: 0 };

interface OfStage {
  /** Its name, when the run has several. */
  readonly stage?: string;
}

/** The numbers of a recipe, each of which may change over a stage. */
export type VaryingHyper = { readonly [K in keyof Hyper]: Varying };

/** At update number `step` of `total`, counted from 0. */
export function hyperAt({ temperature, alpha, beta }: VaryingHyper, step: number, total: number): Hyper {
  const at = (varying: Varying) => valueAt(varying, step, total);
  return { temperature: at(temperature), alpha: at(alpha), beta: at(beta) };
}

export interface LoopInputs {
  /** The models of its structure are placed. */
  readonly trainer: LastingTrainer;
  readonly stage?: string;
  readonly hyper: VaryingHyper;
  readonly options: TrainingOptions;
  readonly train: EncodedSet;
  /** Has what the teachers say of its rows: they do not run. */
  readonly taught?: Taught;
  readonly eval?: EncodedSet;
  /** In place of `eval`: text by which the stage is judged, before the first step too: where it is masked by its perplexity. */
  readonly evalText?: EncodedSet;
  /** Teacher logits on the evaluation set, for the agreement. */
  readonly teacherLogits?: Float32Array;
  readonly parameters: number;
  readonly signal?: AbortSignal;
  /** Where it goes on, if not from the beginning. */
  readonly from?: LoopState;
  /** Updates between calls of `save`; 0: after each epoch. */
  readonly saveSteps?: number;
  /** The metric by which an evaluation is the best so far; behind that is a checkpoint. */
  readonly bestBy?: BestBy;
  /** Keeps a checkpoint: also behind the last update, and behind one in which the signal came. */
  readonly save?: (state: LoopState) => Promise<TrainingEvent>;
}

/** Where the loop is between two updates, and what it remembers. */
export interface LoopState {
  /** Updates made. */
  readonly step: number;
  readonly epoch: number;
  /** Effective batches of the epoch that were read. */
  readonly batch: number;
  readonly tokens: number;
  readonly skipped: number;
  readonly evaluatedAt: number;
  /** Sequences at a time, where memory did not suffice for a batch. */
  readonly microBatch?: number;
  readonly metrics?: Metrics;
  readonly best?: Best;
  readonly seconds: number;
}

/** The evaluation that was the best so far. */
export interface Best {
  readonly step: number;
  readonly value: number;
  readonly metrics: Metrics;
}

const BEGINNING: LoopState = { step: 0, epoch: 0, batch: 0, tokens: 0, skipped: 0, evaluatedAt: 0, seconds: 0 };

export interface LoopResult {
  /** Updates made; fewer than planned when the signal stopped the run. */
  steps: number;
  planned: number;
  seconds: number;
  tokens: number;
  metrics?: Metrics;
  best?: Best;
}

/** Indices of every effective batch of an epoch. */
function effectiveBatches(count: number, options: TrainingOptions, epoch: number) {
  const { batchSize, gradientAccumulationSteps, seed } = options;
  return batchesOf(epochOrder(count, seed, epoch), batchSize * gradientAccumulationSteps);
}

/** Indices of every effective batch of an epoch, split in micro-batches. */
export function* microBatches(count: number, options: TrainingOptions, epoch: number, size = options.batchSize) {
  for (const effective of effectiveBatches(count, options, epoch)) yield [...batchesOf(effective, size)];
}

/** Updates of the whole run. */
export function plannedSteps(count: number, options: TrainingOptions): number {
  const perEpoch = Math.ceil(count / (options.batchSize * options.gradientAccumulationSteps));
  const all = Math.ceil(perEpoch * options.epochs);
  return options.maxSteps > 0 ? (options.epochs > 0 ? Math.min(options.maxSteps, all) : options.maxSteps) : all;
}

/** Text that is masked gets its masks of an epoch; without one, only the room for them. */
export function makeMicroBatches(
  { rows, masking }: Pick<EncodedSet, "rows" | "masking">,
  indices: readonly Uint32Array[],
  { batchSize: size, seed }: Pick<TrainingOptions, "batchSize" | "seed">,
  regression: boolean,
  epoch?: number,
): Batch[] {
  const all = indices.map((part) => {
    const own = Array.from(part, (i) => rows[i]);
    return masking && epoch !== undefined ? maskRows(own, part, masking, seed, epoch) : own;
  });
  const counts = countsOf(all.flat());
  const kind = regression ? "regression" : "classification";
  return all.map((part) => makeBatch(part, { size, kind, ...counts, maskedShare: masking ? MASKED_SHARE : 0 }));
}

export async function* trainingLoop(inputs: LoopInputs): AsyncGenerator<TrainingEvent, LoopResult> {
  const { trainer, options, train, signal, from = BEGINNING } = inputs;
  const { device, structure } = trainer;
  const planned = plannedSteps(train.rows.length, options);
  const warmup = warmupSteps(planned, options.warmupRatio);
  const predictor = new LastingPredictor(device, structure.student);
  const notes = () => device.notes().map((text): TrainingEvent => ({ type: "note", text }));
  const ofStage: OfStage = inputs.stage === undefined ? {} : { stage: inputs.stage };
  yield { type: "start", ...ofStage, steps: planned, rows: train.rows.length, parameters: inputs.parameters };

  const made = (size: number, indices: readonly Uint32Array[], epoch?: number) =>
    makeMicroBatches(train, indices, { batchSize: size, seed: options.seed }, structure.regression, epoch);
  const shapes = function* (size: number) {
    for (let epoch = 0, step = 0; step < planned; epoch++)
      for (const indices of microBatches(train.rows.length, options, epoch, size)) {
        if (step++ === planned) break;
        for (const batch of made(size, indices)) yield shapeOf(batch);
      }
  };
  try {
    await trainer.prepare(Math.min(from.microBatch ?? options.batchSize, options.batchSize), shapes);
  } finally {
    yield* notes();
  }

  const judged = inputs.evalText ?? inputs.eval;
  const evaluate = async (): Promise<Metrics | undefined> => {
    if (inputs.evalText) {
      const { rows, masking } = inputs.evalText;
      if (masking) return perplexity(predictor, { rows, masking });
      const hyper = hyperAt(inputs.hyper, Math.max(0, Math.min(step, planned - 1)), planned);
      return meanLoss(trainer, rows, hyper);
    }
    if (!inputs.eval) return undefined;
    const logits = await predictAll(predictor, inputs.eval.rows);
    return score(logits, inputs.eval, structure.student.config.num_labels, inputs.teacherLogits);
  };

  const breathe = breather();
  const began = performance.now();
  const perEpoch = Math.ceil(train.rows.length / (options.batchSize * options.gradientAccumulationSteps));
  let { step, epoch, batch, tokens, skipped, evaluatedAt, metrics, best } = from;
  let [reportedTokens, reportedAt, paused, savedAt] = [tokens, began, 0, step];
  const spent = () => (performance.now() - began - paused) / 1000;
  const aside = async function* (work: () => AsyncGenerator<TrainingEvent>): AsyncGenerator<TrainingEvent> {
    const start = performance.now();
    yield* work();
    paused += performance.now() - start;
    reportedAt += performance.now() - start;
  };
  const evaluation = () =>
    aside(async function* () {
      metrics = await evaluate();
      evaluatedAt = step;
      const value = inputs.bestBy && metrics?.[inputs.bestBy];
      if (inputs.bestBy && metrics && value !== undefined && isBetter(inputs.bestBy, value, best?.value))
        best = { step, value, metrics };
      yield* notes();
      if (metrics) yield { type: "evaluation", ...ofStage, step, epoch, metrics };
    });
  let stopping = signal?.aborted ?? false;
  /** After everything that belongs to an update. */
  const keep = async function* (): AsyncGenerator<TrainingEvent> {
    stopping ||= signal?.aborted ?? false;
    const { save, saveSteps = 0 } = inputs;
    const due = best?.step === step || (saveSteps > 0 ? step % saveSteps === 0 : batch === perEpoch);
    if (!save || savedAt === step || !(due || stopping || step === planned)) return;
    yield* aside(async function* () {
      await trainer.settle();
      yield* notes();
      const event = await save({
        step,
        epoch,
        batch,
        tokens,
        skipped,
        evaluatedAt,
        ...(trainer.size < options.batchSize ? { microBatch: trainer.size } : {}),
        metrics,
        best,
        seconds: from.seconds + spent(),
      });
      savedAt = step;
      yield* notes();
      yield event;
    });
    stopping ||= signal?.aborted ?? false;
  };
  if (inputs.evalText && step === 0) yield* evaluation();
  for (; step < planned && !stopping; epoch++, batch = 0) {
    for (const effective of [...effectiveBatches(train.rows.length, options, epoch)].slice(batch)) {
      const [{ taught }, own] = [inputs, epoch];
      const update: Update = (size) => {
        const indices = [...batchesOf(effective, size)];
        return made(size, indices, own).map((batch, i) => ({
          batch,
          ...(taught ? { taught: () => taught.read(indices[i], batch) } : {}),
        }));
      };
      const learningRate = options.learningRate * learningRateFactor(options.lrSchedulerType, step, planned, warmup);
      const reported = (step + 1) % options.loggingSteps === 0 || step + 1 === planned;
      const hyper = hyperAt(inputs.hyper, step, planned);
      const result = await trainer.step(update, learningRate, hyper, reported);
      step++;
      batch++;
      yield* notes();
      tokens += effective.reduce((sum, i) => sum + train.rows[i].ids.length, 0);
      skipped = result?.skippedSteps ?? skipped;
      if (result && reported) {
        const now = performance.now();
        yield {
          type: "step",
          ...ofStage,
          ...result,
          ...{ step, steps: planned, epoch, learningRate },
          tokensPerSecond: (1000 * (tokens - reportedTokens)) / (now - reportedAt),
          secondsLeft: (spent() * (planned - step)) / (step - from.step),
          memoryBytes: device.executor.memory().bytes,
        };
        [reportedAt, reportedTokens] = [performance.now(), tokens];
      }
      if (judged && options.evalSteps > 0 && step % options.evalSteps === 0) yield* evaluation();
      await breathe();
      // What ends an epoch has its evaluation still before it.
      if (batch < perEpoch && step < planned) yield* keep();
      if (step === planned || stopping) break;
    }
    if (judged && evaluatedAt !== step && (options.evalSteps === 0 || step === planned)) yield* evaluation();
    if (batch === perEpoch || step === planned) yield* keep();
  }
  await trainer.settle();
  yield* notes();
  if (skipped > 0) {
    const why = structure.student.half ? "gradients left the range of half precision" : "their numbers were not finite";
    yield { type: "note", text: `${skipped} of ${step} steps were skipped: ${why}` };
  }
  return { steps: step, planned, seconds: from.seconds + spent(), tokens, metrics, best };
}
