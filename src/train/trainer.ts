// One student in one executor: takes batches, makes steps. It knows programs and numbers, no files, epochs or events.

import type { Batch } from "../data/batch.ts";
import { LimbeckError } from "../errors.ts";
import type { Executor, Loaded, Persistent } from "../executors/executor.ts";
import type { BatchShape } from "../models/features.ts";
import type { ModelConfig } from "../models/index.ts";
import { LOSS_SCALE } from "../ops/index.ts";
import { Clock, companions, GRADIENT_NORM, HYPER, type OptimizerOptions } from "../optim/optimizer.ts";
import { sizeOf } from "../program/value.ts";
import { Random } from "../random.ts";
import type { Hyper } from "../recipes/recipe.ts";
import { termWeights } from "../recipes/terms.ts";
import { normals, type Weights } from "./model.ts";
import {
  DROPOUT,
  forwardProgram,
  LOSS,
  LOSS_GUARD,
  logitsOf,
  lossPrograms,
  maskedLogitsOf,
  maskedLogitsProgram,
  maskedLossOf,
  maskedProgram,
  metricOf,
  type Placed,
  PROJECT,
  parametersOf,
  type StepStructure,
  stepPrograms,
  TEMPERATURE,
  trainedParameters,
  updateProgram,
  weightOf,
} from "./programs.ts";
import { readTensors, type TrainerState, writeTensors } from "./state.ts";

/** Too many steps in a row whose loss or gradient is NaN or infinite; the weights are those before them. */
export class NonfiniteError extends LimbeckError {}

export interface StepResult {
  loss: number;
  /** The recipe's terms, unweighted. */
  terms: Record<string, number>;
  /** Not finite where the loss is not. */
  gradientNorm: number;
  /** The loss or the norm was not finite, and the device left weights and moments alone. */
  skipped?: true;
  /** Of how many steps that was so. In mixed precision also of those that only showed that the scale was too large. */
  skippedSteps?: number;
  /** In mixed precision: of the next step. */
  lossScale?: number;
}

/** What there was in place of numbers. */
export function nonfinite({ loss, terms, gradientNorm }: StepResult): string {
  const all = Object.entries(terms).map(([name, value]) => `${name} ${value}`);
  return `the loss is ${loss} (${all.join(", ")}) and the gradient norm ${gradientNorm}`;
}

export function shapeOf(batch: Batch): BatchShape {
  const { sequences, rows, longest, masked } = batch;
  return { sequences, rows, longest, ...(masked > 0 ? { masked } : {}) };
}

const keyOf = (shape: BatchShape) => JSON.stringify(shape);

export function placeWeights(executor: Executor, owner: string, weights: Weights): void {
  writeTensors(executor, new Map([...weights].map(([path, tensor]) => [`${owner}/${path}`, tensor])));
}

export async function readWeights(executor: Executor, owner: string, config: ModelConfig): Promise<Weights> {
  const shapes = [...parametersOf(config)].map(([path, shape]) => [`${owner}/${path}`, shape] as const);
  const tensors = await readTensors(executor, shapes);
  return new Map([...tensors].map(([name, tensor]) => [name.slice(owner.length + 1), tensor]));
}

/** Of a batch, what these programs read: the rest would only take memory. */
export function writeBatch(executor: Executor, batch: Batch, programs: readonly Loaded[]): void {
  const read = new Set(programs.flatMap(({ program }) => program.values.map(({ name }) => name)));
  const write = (field: string, data: Float64Array | Uint32Array, shape: readonly number[] = [data.length]) => {
    const name = `batch/${field}`;
    if (read.has(name)) executor.write({ name, shape, dtype: data instanceof Uint32Array ? "u32" : "f32" }, data);
  };
  const { ids, segments, positions, order, segmentOrder, positionOrder, offsets, first, last, labels } = batch;
  const { textOffsets, firstOfText, lastOfText, firstOfPair } = batch;
  for (const [name, data] of Object.entries({
    ...{ ids, segments, positions, order, segmentOrder, positionOrder, offsets, first, last, labels },
    ...{ textOffsets, firstOfText, lastOfText, firstOfPair },
    ...{ labelWeight: batch.labelWeight, rowWeight: batch.rowWeight, tokenWeight: batch.tokenWeight },
    ...{ targets: batch.targets, maskedRows: batch.maskedRows, targetWeight: batch.targetWeight },
    eachWeight: batch.eachWeight,
  }))
    write(name, data);
  write("scores", batch.scores, [batch.sequences, 1]);
  const { softLabels: soft } = batch;
  if (soft) write("softLabels", soft, [batch.sequences, soft.length / batch.sequences]);
}

const PROGRAMS = { logits: forwardProgram, masked: maskedProgram, maskedLogits: maskedLogitsProgram };

/** What a model says of batches. */
export class Predictor {
  readonly #loaded = new Map<string, Loaded>();

  constructor(
    readonly executor: Executor,
    readonly placed: Placed,
  ) {}

  /** [B, C], rows of empty sequences included. */
  async logits(batch: Batch): Promise<Float32Array> {
    this.#run("logits", batch);
    const { owner, config } = this.placed;
    return Float32Array.from(await this.executor.read(logitsOf(owner, batch.sequences, config.num_labels)));
  }

  /** Of the tokens at the masked places. [K, V] */
  async maskedLogits(batch: Batch): Promise<Float32Array> {
    this.#run("maskedLogits", batch);
    const { owner, config } = this.placed;
    return new Float32Array(await this.executor.read(maskedLogitsOf(owner, batch.masked, config.vocab_size)));
  }

  /** Of a batch's masked tokens, weighted as the batch says. */
  async maskedLoss(batch: Batch): Promise<number> {
    this.#run("masked", batch);
    const [loss] = await this.executor.read(maskedLossOf(this.placed.owner));
    return loss;
  }

  #run(what: keyof typeof PROGRAMS, batch: Batch): void {
    const shape = shapeOf(batch);
    const key = `${what} ${keyOf(shape)}`;
    const loaded = this.#loaded.get(key) ?? this.executor.load(PROGRAMS[what](this.placed, shape));
    this.#loaded.set(key, loaded);
    writeBatch(this.executor, batch, [loaded]);
    this.executor.run(loaded);
  }
}

/** What another program would have written. */
export type Given = readonly [value: Persistent, data: Float32Array];

interface LoadedStep {
  teachers: Loaded[];
  gradient: Loaded;
  terms: readonly string[];
}

/** The first scale of the loss in mixed precision, as torch.amp.GradScaler has it. */
const FIRST_SCALE = 65536;

/** Of a recipe's matrices before training, as BERT's own. */
const PROJECTION_DEVIATION = 0.02;

/** What of a stage is in a trainer's state: its parameters with their moments, by their names in the executor. */
export function stateShapes(structure: StepStructure): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  for (const [name, shape] of trainedParameters(structure)) {
    const { gradient, ...moments } = companions(name);
    for (const own of [name, ...Object.values(moments)]) shapes.set(own, shape);
  }
  if (structure.student.half) shapes.set(LOSS_SCALE.name, LOSS_SCALE.shape);
  return shapes;
}

/** Steps that are enqueued before one must be done: the device has the next at hand, and the host no more than that. */
const STEPS_IN_FLIGHT = 2;

export class Trainer {
  readonly #steps = new Map<string, LoadedStep>();
  readonly #losses = new Map<string, Loaded[]>();
  readonly #update: Loaded;
  readonly #clock: Clock;
  /** Every trained parameter by its name in the executor, with what the optimiser keeps beside it. */
  readonly #parameters: readonly (readonly [
    string,
    { shape: readonly number[]; gradient: string; moments: string[] },
  ])[];
  /** Micro-batches so far: what the dropout masks count. */
  #microBatches = 0;
  /** The ends of the steps in flight. */
  readonly #ends: Promise<unknown>[] = [];

  constructor(
    readonly executor: Executor,
    readonly structure: StepStructure,
    /** taught: every step is given what the teachers' programs would write, and these are not loaded. */
    readonly options: { optimizer?: Partial<OptimizerOptions>; seed: number; taught?: boolean },
  ) {
    this.#clock = new Clock({ ...structure.optimizer.defaults, ...options.optimizer });
    this.#update = executor.load(updateProgram(structure));
    this.#parameters = [...trainedParameters(structure)].map(([name, shape]) => {
      const { gradient, ...moments } = companions(name);
      return [name, { shape, gradient, moments: Object.values(moments) }] as const;
    });
    for (const [name, { shape, moments }] of this.#parameters) {
      const write = (at: string, data: Float32Array) => executor.write({ name: at, shape, dtype: "f32" }, data);
      for (const moment of moments) write(moment, new Float32Array(sizeOf({ shape })));
      if (name.startsWith(`${PROJECT}/`))
        write(name, normals(new Random(options.seed, `init/${name}`), sizeOf({ shape }), PROJECTION_DEVIATION));
    }
    if (structure.student.half) executor.write(LOSS_SCALE, Float64Array.of(FIRST_SCALE, 1 / FIRST_SCALE, 0, 0));
  }

  #loadedStep(shape: BatchShape): LoadedStep {
    const known = this.#steps.get(keyOf(shape));
    if (known) return known;
    const { teachers, gradient, terms } = stepPrograms(this.structure, shape);
    const load = (program: typeof gradient) => this.executor.load(program);
    // One of whom a stage reads nothing has nothing to do.
    const needed = this.options.taught ? [] : teachers.filter(({ instructions }) => instructions.length > 0);
    const step = { teachers: needed.map(load), gradient: load(gradient), terms };
    this.#steps.set(keyOf(shape), step);
    return step;
  }

  /** Prepares the largest shape first, so that memory is placed once. */
  prepare(shape: BatchShape): void {
    this.#loadedStep(shape);
  }

  /** Every shape so far is forgotten, with the inputs that were placed for it. */
  forget(): void {
    const steps = [...this.#steps.values()].map(({ teachers, gradient }) => [...teachers, gradient]);
    for (const loaded of [...steps, ...this.#losses.values()].flat()) {
      for (const { name, storage } of loaded.program.values) if (storage === "input") this.executor.release(name);
      this.executor.unload(loaded);
    }
    this.#steps.clear();
    this.#losses.clear();
  }

  /** Resolves when another step may be enqueued. */
  async turn(): Promise<void> {
    while (this.#ends.length >= STEPS_IN_FLIGHT) await this.#ends.shift();
  }

  /**
   * One update from the gradients of all micro-batches; their weights already divide by the counts of the whole. Where the loss or a gradient
   * is not finite, nothing changes but what counts steps. All of it is enqueued when the call returns; the promise is of its metrics, which
   * with `later` come with the next that somebody waits for.
   */
  async step(
    microBatches: readonly Batch[],
    learningRate: number,
    hyper: Hyper,
    later = false,
    taught: readonly (readonly Given[])[] = [],
  ): Promise<StepResult> {
    const { executor, structure } = this;
    this.#writeHyper(hyper);
    executor.write(LOSS_GUARD, Float64Array.of(0));

    const read = (value: Persistent): Promise<ArrayLike<number>> => {
      const numbers = executor.read(value, later);
      // Should the device be lost further down, nobody waits for this one.
      numbers.catch(() => {});
      return numbers;
    };
    const parts = microBatches.map((batch, i) => {
      const step = this.#loadedStep(shapeOf(batch));
      writeBatch(executor, batch, [...step.teachers, step.gradient]);
      executor.write(DROPOUT, Uint32Array.of(this.options.seed, this.#microBatches++));
      for (const [value, data] of taught[i] ?? []) executor.write(value, data);
      for (const teacher of step.teachers) executor.run(teacher);
      executor.run(step.gradient);
      return { loss: read(LOSS), terms: step.terms.map((term) => [term, read(metricOf(term))] as const) };
    });
    executor.write(HYPER, this.#clock.next(learningRate));
    executor.run(this.#update);
    const norm = read(GRADIENT_NORM);
    const scaling = structure.student.half ? read(LOSS_SCALE) : undefined;
    if (later) {
      const end = executor.finished();
      end.catch(() => {});
      this.#ends.push(end);
    }

    const result: StepResult = { loss: 0, terms: {}, gradientNorm: (await norm)[0] };
    for (const { loss, terms } of parts) {
      result.loss += (await loss)[0];
      for (const [term, value] of terms) result.terms[term] = (result.terms[term] ?? 0) + (await value)[0];
    }
    if (scaling) [result.lossScale, , , result.skippedSteps] = Array.from(await scaling);
    // A scale that is too large shows by trying: the device refused the update, and the next step has half of it.
    const tried = result.lossScale !== undefined && result.lossScale >= 1;
    if (!Number.isFinite(result.loss) || !(Number.isFinite(result.gradientNorm) || tried)) result.skipped = true;
    return result;
  }

  /** Of a batch, whose weights may be shares of a whole; without dropout. Nothing is learnt. */
  async loss(batch: Batch, hyper: Hyper): Promise<number> {
    const { executor } = this;
    this.#writeHyper(hyper);
    const shape = shapeOf(batch);
    const known = this.#losses.get(keyOf(shape));
    const programs = known ?? lossPrograms(this.structure, shape).map((program) => executor.load(program));
    this.#losses.set(keyOf(shape), programs);
    writeBatch(executor, batch, programs);
    for (const program of programs) executor.run(program);
    return (await executor.read(LOSS))[0];
  }

  #writeHyper(hyper: Hyper): void {
    const { stage, regression } = this.structure;
    const scalar = (value: Persistent, x: number) => this.executor.write(value, Float64Array.of(x));
    scalar(TEMPERATURE, hyper.temperature);
    for (const [term, weight] of Object.entries(termWeights(stage, hyper, regression))) scalar(weightOf(term), weight);
  }

  /** Metrics that may come later come now. */
  async settle(): Promise<void> {
    await this.executor.read(GRADIENT_NORM);
  }

  /** Everything from which the next step follows. Nothing may be enqueued before it is there. */
  async snapshot(): Promise<TrainerState> {
    const tensors = await readTensors(this.executor, stateShapes(this.structure));
    return { microBatches: this.#microBatches, clock: this.#clock.state, tensors };
  }

  /** The next step will be the one that followed the snapshot. */
  restore({ microBatches, clock, tensors }: TrainerState): void {
    this.#microBatches = microBatches;
    this.#clock.state = clock;
    // A step may have ended between gradients and update.
    for (const [, { gradient }] of this.#parameters) this.executor.release(gradient);
    writeTensors(this.executor, tensors);
  }

  /** Frees what only training needs. */
  release(): void {
    this.forget();
    this.executor.unload(this.#update);
    for (const { name } of [LOSS_SCALE, LOSS_GUARD]) this.executor.release(name);
    for (const [name, { gradient, moments }] of this.#parameters) {
      for (const own of [gradient, ...moments]) this.executor.release(own);
      if (name.startsWith(`${PROJECT}/`)) this.executor.release(name);
    }
  }
}
