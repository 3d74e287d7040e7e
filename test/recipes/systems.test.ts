// TinyBERT, MiniLM and MiniLMv2 (test/fixtures/systems.py) and MobileBERT (transfer.py) against PyTorch in float64: every term, every gradient
// of the student and of the recipe's own matrices, and ten steps with the optimiser on. Dropout is off.

import { describe, expect, test } from "vitest";
import type { Executor } from "../../src/executors/executor.ts";
import { optimizerNamed } from "../../src/optim/index.ts";
import { learningRateFactor } from "../../src/optim/schedule.ts";
import { withChoices } from "../../src/recipes/choices.ts";
import { recipes } from "../../src/recipes/index.ts";
import { IDLE } from "../../src/recipes/recipe.ts";
import { termWeights } from "../../src/recipes/terms.ts";
import { type StepStructure, trainedParameters } from "../../src/train/programs.ts";
import { placeWeights, Trainer } from "../../src/train/trainer.ts";
import { devices } from "../executors/each.ts";
import { fixtureBatch, fixtureJson, fixtureTensors } from "../fixtures/read.ts";
import { expectGradients, expectSteps, expectTerms, fixtureModel } from "./golden.ts";

for (const file of ["systems", "transfer"]) {
  const { optimiser, relationHeads, batches, labels, stages, hyper: given } = fixtureJson(`${file}.json`);
  const truths = fixtureTensors(`${file}.safetensors`);
  const [teacher, student] = [fixtureModel(`${file}/teacher`), fixtureModel(`${file}/student`)];
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
        const projections = [...trainedParameters(structure)].filter(([path]) => path.startsWith("project/"));
        const project = (executor: Executor) => {
          for (const [path, shape] of projections)
            executor.write({ name: path, shape, dtype: "f32" }, truths.get(path) as Float64Array);
        };

        test(`${name}: terms, and all gradients`, async () => {
          const executor = await place();
          project(executor);
          const weights = Object.fromEntries(Object.keys(expected.terms).map((term) => [term, 1]));
          const step = { structure, batch: batch(0), weights, temperature: 1 };
          await expectTerms(executor, step, expected.terms, tolerance);
          // What PyTorch left without a gradient is not trained, and everything else is.
          const paths = [...student.weights.keys()].filter((path) => !expected.untouched.includes(path));
          const gradients = new Map(
            [
              ...paths.map((path): [string, string] => [`student/${path}`, path]),
              ...projections.map(([path]): [string, string] => [path, path]),
            ].map(([path, key]) => [path, truths.get(`${name}/${key}`) as Float64Array]),
          );
          await expectGradients(executor, structure, gradients, tolerance);
          executor.dispose();
        });

        test(`${name}: ten steps`, async () => {
          const executor = await place();
          const numbers = { weightDecay: optimiser.weightDecay, maxNorm: optimiser.maxGradNorm };
          const trainer = new Trainer(executor, structure, { optimizer: numbers, seed: 1 });
          project(executor);
          expect(termWeights(structure.stage, hyper, false)).toEqual(
            expected.weights ?? Object.fromEntries(Object.keys(expected.terms).map((term) => [term, 1])),
          );
          const warmup = expected.schedule === "constant" ? 0 : optimiser.warmupSteps;
          const rate = (i: number) =>
            (expected.peak ?? optimiser.peakLearningRate) *
            learningRateFactor(expected.schedule, i, optimiser.totalSteps, warmup);
          const given = { batch: (i: number) => batch(i % batches.length), hyper, rate };
          await expectSteps(trainer, expected.steps, given, tolerance);
          executor.dispose();
        });
      }
    });
}
