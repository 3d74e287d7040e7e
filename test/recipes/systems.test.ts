// TinyBERT, MiniLM and MiniLMv2 (test/fixtures/systems.py) and MobileBERT (transfer.py) against PyTorch in float64: every term, every gradient
// of the student and of the recipe's own matrices, and ten steps with the optimiser on. Dropout is off.

import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/models/index.ts";
import { optimizerNamed } from "../../src/optim/index.ts";
import { companions } from "../../src/optim/optimizer.ts";
import { learningRateFactor } from "../../src/optim/schedule.ts";
import { withChoices } from "../../src/recipes/choices.ts";
import { recipes } from "../../src/recipes/index.ts";
import { IDLE } from "../../src/recipes/recipe.ts";
import { termWeights } from "../../src/recipes/terms.ts";
import type { Weights } from "../../src/train/model.ts";
import {
  metricOf,
  parametersOf,
  type StepStructure,
  stepPrograms,
  trainedParameters,
  weightOf,
} from "../../src/train/programs.ts";
import { placeWeights, shapeOf, Trainer, writeBatch } from "../../src/train/trainer.ts";
import { devices } from "../executors/each.ts";
import { fixtureBatch, fixtureBytes, fixtureJson, fixtureTensors } from "../fixtures/read.ts";

function model(path: string) {
  const text = new TextDecoder().decode(fixtureBytes(`${path}/config.json`));
  const config = parseConfig(text, path);
  const tensors = fixtureTensors(`${path}/model.safetensors`);
  const weights: Weights = new Map(
    [...parametersOf(config)].map(([name, shape]) => [
      name,
      { shape: [...shape], data: Float32Array.from(tensors.get(name) as Float64Array) },
    ]),
  );
  return { config, weights };
}

for (const file of ["systems", "transfer"]) {
  const { optimiser, relationHeads, batches, labels, stages, hyper: given } = fixtureJson(`${file}.json`);
  const truths = fixtureTensors(`${file}.safetensors`);
  const [teacher, student] = [model(`${file}/teacher`), model(`${file}/student`)];
  const hyper = { ...IDLE, ...given };
  const batch = (i: number) => fixtureBatch(batches[i], labels?.[i] ?? batches[i].map(() => null), false, 1);

  /** RECIPE/STAGE, or RECIPE/STAGE-LAYER. */
  function structureOf(name: string): StepStructure {
    const [, system, key, layer] = /^(.*)\/([a-z]+)(?:-(\d+))?$/.exec(name) as RegExpExecArray;
    const recipe = system === "minilm-v2" ? withChoices(recipes[system], { relationHeads }) : recipes[system];
    const { training, layer: named } = recipe.stages[key];
    expect([named, training?.optimizer ?? "adamw"]).toEqual([layer && "each", stages[name].optimizer]);
    return {
      student: { owner: "student", config: student.config },
      teachers: [{ owner: "teacher0", config: teacher.config }],
      stage: { ...recipe.stages[key], ...(layer ? { layer: Number(layer) } : {}) },
      ...{ regression: false, optimizer: optimizerNamed(stages[name].optimizer) },
    };
  }

  for (const device of devices)
    describe.skipIf(device.missing)(`${file} on ${device.name}`, () => {
      const tolerance = device.name === "reference" ? 1e-9 : 1e-4;
      const place = async () => {
        const executor = await device.make();
        placeWeights(executor, "teacher0", teacher.weights);
        placeWeights(executor, "student", student.weights);
        return executor;
      };

      for (const [name, expected] of Object.entries(stages) as [string, (typeof stages)[string]][]) {
        const structure = structureOf(name);
        const trained = trainedParameters(structure);
        const fixed = (path: string) => (path.startsWith("project/") ? path : `student/${path}`);
        const projections = [...trained].filter(([path]) => path.startsWith("project/"));

        test(`${name}: terms, and all gradients`, async () => {
          const executor = await place();
          const write = (at: { name: string }, shape: readonly number[], data: Float64Array) =>
            executor.write({ name: at.name, shape, dtype: "f32" }, data);
          for (const [path, shape] of projections) write({ name: path }, shape, truths.get(path) as Float64Array);
          const { teachers, gradient, terms } = stepPrograms(structure, shapeOf(batch(0)));
          expect([...terms].sort()).toEqual(Object.keys(expected.terms).sort());
          for (const term of terms) write(weightOf(term), [1], Float64Array.of(1));
          write({ name: "recipe/temperature" }, [1], Float64Array.of(1));
          const programs = [...teachers, gradient].map((program) => executor.load(program));
          writeBatch(executor, batch(0), programs);
          for (const program of programs) executor.run(program);
          for (const term of terms) {
            const [found] = await executor.read(metricOf(term));
            expect(Math.abs(found - expected.terms[term]) / expected.terms[term], term).toBeLessThanOrEqual(tolerance);
          }
          // What PyTorch left without a gradient is not trained, and everything else is.
          const all = [...[...student.weights.keys()].map(fixed), ...projections.map(([path]) => path)];
          expect([...trained.keys()].sort()).toEqual(
            all.filter((path) => !expected.untouched.map(fixed).includes(path)).sort(),
          );
          const gradients = [...trained].map(([path, shape]) => {
            const key = path.replace(/^student\//, "");
            return { path, shape, truth: truths.get(`${name}/${key}`) as Float64Array };
          });
          const most = Math.max(...gradients.flatMap(({ truth }) => Array.from(truth, Math.abs)));
          for (const { path, shape, truth } of gradients) {
            const found = await executor.read({ name: companions(path).gradient, shape, dtype: "f32" });
            const largest = Math.max(1e-3 * most, ...Array.from(truth, Math.abs));
            const apart = Math.max(...Array.from(truth, (x, i) => Math.abs(found[i] - x)));
            expect(apart / largest, `gradient of ${path}`).toBeLessThanOrEqual(tolerance);
          }
          executor.dispose();
        });

        test(`${name}: ten steps`, async () => {
          const executor = await place();
          const numbers = { weightDecay: optimiser.weightDecay, maxNorm: optimiser.maxGradNorm };
          const trainer = new Trainer(executor, structure, { optimizer: numbers, seed: 1 });
          for (const [path, shape] of projections)
            executor.write({ name: path, shape, dtype: "f32" }, truths.get(path) as Float64Array);
          expect(termWeights(structure.stage, hyper, false)).toEqual(
            expected.weights ?? Object.fromEntries(Object.keys(expected.terms).map((term) => [term, 1])),
          );
          for (const [i, truth] of expected.steps.entries()) {
            const warmup = expected.schedule === "constant" ? 0 : optimiser.warmupSteps;
            const factor = learningRateFactor(expected.schedule, i, optimiser.totalSteps, warmup);
            expect((expected.peak ?? optimiser.peakLearningRate) * factor).toBeCloseTo(truth.learningRate, 15);
            const step = await trainer.step([batch(i % batches.length)], truth.learningRate, hyper);
            expect(Math.abs(step.loss - truth.loss) / truth.loss, `loss ${i}`).toBeLessThanOrEqual(tolerance);
            expect(Math.abs(step.gradientNorm - truth.gradNorm) / truth.gradNorm, `norm ${i}`).toBeLessThanOrEqual(
              10 * tolerance,
            );
          }
          executor.dispose();
        });
      }
    });
}
