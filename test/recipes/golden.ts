// What the tests of recipes against PyTorch share: a model of a fixture, and the comparison of terms, gradients and steps.

import { expect } from "vitest";
import type { Batch } from "../../src/data/batch.ts";
import type { Executor } from "../../src/executors/executor.ts";
import type { Task } from "../../src/formats/config.ts";
import { type ModelConfig, parseConfig } from "../../src/models/index.ts";
import { companions } from "../../src/optim/optimizer.ts";
import type { Hyper } from "../../src/recipes/recipe.ts";
import type { Weights } from "../../src/train/model.ts";
import {
  metricOf,
  parametersOf,
  type StepStructure,
  stepPrograms,
  TEMPERATURE,
  trainedParameters,
  weightOf,
} from "../../src/train/programs.ts";
import { shapeOf, type Trainer, writeBatch } from "../../src/train/trainer.ts";
import { fixtureBytes, fixtureTensors } from "../fixtures/read.ts";

export function fixtureModel(path: string, tasks?: readonly Task[]): { config: ModelConfig; weights: Weights } {
  const text = new TextDecoder().decode(fixtureBytes(`${path}/config.json`));
  const config = { ...parseConfig(text, path), ...(tasks ? { tasks } : {}) };
  const tensors = fixtureTensors(`${path}/model.safetensors`);
  const weights: Weights = new Map(
    [...parametersOf(config)].map(([name, shape]) => [
      name,
      { shape: [...shape], data: Float32Array.from(tensors.get(name) as Float64Array) },
    ]),
  );
  return { config, weights };
}

export interface Step {
  readonly structure: StepStructure;
  readonly batch: Batch;
  readonly weights: Readonly<Record<string, number>>;
  readonly temperature: number;
}

/** One step's programs, the models being placed: every term against the truth. */
export async function expectTerms(
  executor: Executor,
  { structure, batch, weights, temperature }: Step,
  truths: Readonly<Record<string, number>>,
  tolerance: number,
): Promise<void> {
  const { teachers, gradient, terms } = stepPrograms(structure, shapeOf(batch));
  expect([...terms].sort()).toEqual(Object.keys(truths).sort());
  const write = ({ name }: { name: string }, x: number) =>
    executor.write({ name, shape: [1], dtype: "f32" }, Float64Array.of(x));
  for (const term of terms) write(weightOf(term), weights[term]);
  write(TEMPERATURE, temperature);
  const programs = [...teachers, gradient].map((program) => executor.load(program));
  writeBatch(executor, batch, programs);
  for (const program of programs) executor.run(program);
  for (const term of terms) {
    const [found] = await executor.read(metricOf(term));
    expect(Math.abs(found - truths[term]) / truths[term], term).toBeLessThanOrEqual(tolerance);
  }
}

/** Its gradients: what the truths name is trained and nothing else, and each tensor agrees relative to its largest number. */
export async function expectGradients(
  executor: Executor,
  structure: StepStructure,
  truths: ReadonlyMap<string, Float64Array>,
  tolerance: number,
): Promise<void> {
  const trained = trainedParameters(structure);
  expect([...trained.keys()].sort()).toEqual([...truths.keys()].sort());
  const most = Math.max(...[...truths.values()].flatMap((data) => Array.from(data, Math.abs)));
  for (const [path, shape] of trained) {
    const truth = truths.get(path) as Float64Array;
    const found = await executor.read({ name: companions(path).gradient, shape, dtype: "f32" });
    const largest = Math.max(1e-3 * most, ...Array.from(truth, Math.abs));
    const apart = Math.max(...Array.from(truth, (x, i) => Math.abs(found[i] - x)));
    expect(apart / largest, `gradient of ${path}`).toBeLessThanOrEqual(tolerance);
  }
}

interface StepTruth {
  readonly loss: number;
  readonly gradNorm: number;
  readonly learningRate: number;
}

/** Steps with the optimiser on; `rate` is what the schedule gives step i. */
export async function expectSteps(
  trainer: Trainer,
  truths: readonly StepTruth[],
  { batch, hyper, rate }: { batch: (step: number) => Batch; hyper: Hyper; rate: (step: number) => number },
  tolerance: number,
): Promise<void> {
  expect(truths).toHaveLength(10);
  for (const [i, truth] of truths.entries()) {
    expect(rate(i)).toBeCloseTo(truth.learningRate, 15);
    const { loss, gradientNorm } = await trainer.step([batch(i)], truth.learningRate, hyper);
    expect(Math.abs(loss - truth.loss) / truth.loss, `loss ${i}`).toBeLessThanOrEqual(tolerance);
    const apart = Math.abs(gradientNorm - truth.gradNorm) / truth.gradNorm;
    expect(apart, `norm ${i}`).toBeLessThanOrEqual(10 * tolerance);
  }
}
