// One student in one executor: takes batches, makes steps. It knows programs and numbers, no files, epochs or events.

import type { Batch } from "../data/batch.ts";
import { LimbeckError } from "../errors.ts";
import type { Executor, Loaded, Persistent } from "../executors/executor.ts";
import type { BatchShape } from "../models/features.ts";
import type { ModelConfig } from "../models/index.ts";
import { AdamWClock, type AdamWOptions, companions, GRADIENT_NORM, HYPER } from "../optim/adamw.ts";
import type { Hyper } from "../recipes/recipe.ts";
import type { Weights } from "./model.ts";
import {
  DROPOUT,
  forwardProgram,
  LOSS,
  logitsOf,
  metricOf,
  type Placed,
  parametersOf,
  type StepStructure,
  stepPrograms,
  TEMPERATURE,
  updateProgram,
  weightOf,
} from "./programs.ts";

/** The training of a step became NaN or infinite; the weights are those before the step. */
export class NonfiniteError extends LimbeckError {}

export interface StepResult {
  loss: number;
  /** The recipe's terms, unweighted. */
  terms: Record<string, number>;
  gradientNorm: number;
}

export function shapeOf(batch: Batch): BatchShape {
  return { sequences: batch.sequences, rows: batch.rows, longest: batch.longest };
}

const keyOf = ({ sequences, rows, longest }: BatchShape) => `${sequences}/${rows}/${longest}`;

export function placeWeights(executor: Executor, owner: string, weights: Weights): void {
  for (const [path, { shape, data }] of weights)
    executor.write({ name: `${owner}/${path}`, shape, dtype: "f32" }, data);
}

export async function readWeights(executor: Executor, owner: string, config: ModelConfig): Promise<Weights> {
  const weights: Weights = new Map();
  for (const [path, shape] of parametersOf(config)) {
    const data = await executor.read({ name: `${owner}/${path}`, shape, dtype: "f32" });
    weights.set(path, { shape: [...shape], data: Float32Array.from(data) });
  }
  return weights;
}

export function writeBatch(executor: Executor, batch: Batch): void {
  const write = (name: string, data: Float64Array | Uint32Array, shape: readonly number[] = [data.length]) =>
    executor.write({ name: `batch/${name}`, shape, dtype: data instanceof Uint32Array ? "u32" : "f32" }, data);
  const { ids, segments, positions, order, segmentOrder, positionOrder, offsets, first, labels } = batch;
  for (const [name, data] of Object.entries({
    ...{ ids, segments, positions, order, segmentOrder, positionOrder, offsets, first, labels },
    ...{ labelWeight: batch.labelWeight, rowWeight: batch.rowWeight },
  }))
    write(name, data);
  write("scores", batch.scores, [batch.sequences, 1]);
}

/** Logits of a model, batch by batch. */
export class Predictor {
  readonly #loaded = new Map<string, Loaded>();

  constructor(
    readonly executor: Executor,
    readonly placed: Placed,
  ) {}

  /** [B, C], rows of empty sequences included. */
  async logits(batch: Batch): Promise<Float32Array> {
    const shape = shapeOf(batch);
    const loaded = this.#loaded.get(keyOf(shape)) ?? this.executor.load(forwardProgram(this.placed, shape));
    this.#loaded.set(keyOf(shape), loaded);
    writeBatch(this.executor, batch);
    this.executor.run(loaded);
    const { owner, config } = this.placed;
    return Float32Array.from(await this.executor.read(logitsOf(owner, shape.sequences, config.num_labels)));
  }
}

interface LoadedStep {
  teachers: Loaded[];
  gradient: Loaded;
  terms: readonly string[];
}

export class Trainer {
  readonly #steps = new Map<string, LoadedStep>();
  readonly #update: Loaded;
  readonly #clock: AdamWClock;
  /** Micro-batches so far: what the dropout masks count. */
  #microBatches = 0;

  constructor(
    readonly executor: Executor,
    readonly structure: StepStructure,
    readonly options: { optimizer: AdamWOptions; seed: number },
  ) {
    this.#clock = new AdamWClock(options.optimizer);
    this.#update = executor.load(updateProgram(structure.student));
  }

  #loadedStep(shape: BatchShape): LoadedStep {
    const known = this.#steps.get(keyOf(shape));
    if (known) return known;
    const { teachers, gradient, terms } = stepPrograms(this.structure, shape);
    const load = (program: typeof gradient) => this.executor.load(program);
    const step = { teachers: teachers.map(load), gradient: load(gradient), terms };
    this.#steps.set(keyOf(shape), step);
    return step;
  }

  /** Prepares the largest shape first, so that memory is placed once. */
  prepare(shape: BatchShape): void {
    this.#loadedStep(shape);
  }

  /** One update from the gradients of all micro-batches; their weights already divide by the counts of the whole. */
  async step(microBatches: readonly Batch[], learningRate: number, hyper: Hyper): Promise<StepResult> {
    const { executor, structure } = this;
    const weights = structure.recipe.weights(hyper, structure.regression);
    const scalar = (value: Persistent, x: number) => executor.write(value, Float64Array.of(x));
    scalar(TEMPERATURE, hyper.temperature);
    for (const [term, weight] of Object.entries(weights)) scalar(weightOf(term), weight);

    const result: StepResult = { loss: 0, terms: {}, gradientNorm: 0 };
    const number = async (value: Persistent) => (await executor.read(value))[0];
    for (const batch of microBatches) {
      const step = this.#loadedStep(shapeOf(batch));
      writeBatch(executor, batch);
      executor.write(DROPOUT, Uint32Array.of(this.options.seed, this.#microBatches++));
      for (const teacher of step.teachers) executor.run(teacher);
      executor.run(step.gradient);
      const [loss, ...terms] = await Promise.all([LOSS, ...step.terms.map(metricOf)].map(number));
      result.loss += loss;
      step.terms.forEach((term, i) => {
        result.terms[term] = (result.terms[term] ?? 0) + terms[i];
      });
    }
    executor.write(HYPER, this.#clock.next(learningRate));
    executor.run(this.#update);
    result.gradientNorm = await number(GRADIENT_NORM);
    if (!Number.isFinite(result.loss) || !Number.isFinite(result.gradientNorm)) {
      const terms = Object.entries(result.terms).map(([name, value]) => `${name} ${value}`);
      throw new NonfiniteError(
        "NONFINITE_LOSS",
        `the loss is ${result.loss} (${terms.join(", ")}) and the gradient norm ${result.gradientNorm}; the weights of the step before are kept. Use a smaller --learning-rate.`,
      );
    }
    return result;
  }

  /** Frees what only training needs. */
  release(): void {
    const { owner, config } = this.structure.student;
    for (const path of parametersOf(config).keys())
      for (const name of Object.values(companions(`${owner}/${path}`))) this.executor.release(name);
  }
}
