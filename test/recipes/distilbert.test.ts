// DistilBERT's stage on plain text, and masked-LM alone, against PyTorch in float64 (test/fixtures/distilbert.py): every term, every gradient
// of the student, ten steps with the optimiser on. Dropout is off.

import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/models/index.ts";
import { optimizerNamed } from "../../src/optim/index.ts";
import { companions } from "../../src/optim/optimizer.ts";
import { learningRateFactor } from "../../src/optim/schedule.ts";
import { withChoices } from "../../src/recipes/choices.ts";
import { recipes } from "../../src/recipes/index.ts";
import { IDLE, type Stage } from "../../src/recipes/recipe.ts";
import { termWeights } from "../../src/recipes/terms.ts";
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
import { placeWeights, shapeOf, Trainer, writeBatch } from "../../src/train/trainer.ts";
import { devices } from "../executors/each.ts";
import { fixtureBytes, fixtureJson, fixtureMasked, fixtureTensors } from "../fixtures/read.ts";

const { optimiser, temperature, batches, stages } = fixtureJson("distilbert.json");
const truths = fixtureTensors("distilbert.safetensors");
const hyper = { ...IDLE, temperature };

function model(name: "teacher" | "student") {
  const text = new TextDecoder().decode(fixtureBytes(`distilbert/${name}/config.json`));
  const config = { ...parseConfig(text, name), tasks: ["maskedLm" as const] };
  const tensors = fixtureTensors(`distilbert/${name}/model.safetensors`);
  const weights: Weights = new Map(
    [...parametersOf(config)].map(([path, shape]) => [
      path,
      { shape: [...shape], data: Float32Array.from(tensors.get(path) as Float64Array) },
    ]),
  );
  return { config, weights };
}

const [teacher, student] = [model("teacher"), model("student")];
const batch = (i: number) => fixtureMasked(batches[i], 1);
const STAGES: Record<string, Stage> = {
  all: recipes.distilbert.stages.text,
  masked: withChoices(recipes.distilbert, { restrictCeToMask: true }).stages.text,
  body: recipes.mlm.stages.text,
  head: { ...recipes.mlm.stages.text, frozen: true },
};

test("the recipe has the numbers of the authors' code", () => {
  expect(recipes.distilbert.hyper).toEqual({ temperature, alpha: 0.5 });
  expect(STAGES.all.training).toMatchObject({
    ...{ adamBeta2: optimiser.beta2, adamEpsilon: optimiser.epsilon, maxGradNorm: optimiser.maxGradNorm },
    weightDecay: 0,
  });
});

for (const device of devices)
  describe.skipIf(device.missing)(`distilbert on ${device.name}`, () => {
    const tolerance = device.name === "reference" ? 1e-9 : 1e-4;

    for (const [name, expected] of Object.entries(stages) as [string, (typeof stages)[string]][]) {
      const stage = STAGES[name];
      const { config, weights } = "soft" in stage.terms ? student : teacher;
      const structure: StepStructure = {
        student: { owner: "student", config },
        teachers: "soft" in stage.terms ? [{ owner: "teacher0", config: teacher.config }] : [],
        ...{ stage, regression: false, optimizer: optimizerNamed("adamw") },
      };
      const place = async () => {
        const executor = await device.make();
        placeWeights(executor, "teacher0", teacher.weights);
        placeWeights(executor, "student", weights);
        return executor;
      };

      test(`${name}: terms, their weights, and all gradients`, async () => {
        const executor = await place();
        const weighted = termWeights(stage, hyper, false);
        expect(weighted).toEqual(expected.weights);
        const { teachers, gradient, terms } = stepPrograms(structure, shapeOf(batch(0)));
        const write = (value: { name: string }, x: number) =>
          executor.write({ name: value.name, shape: [1], dtype: "f32" }, Float64Array.of(x));
        for (const term of terms) write(weightOf(term), weighted[term]);
        write(TEMPERATURE, temperature);
        const programs = [...teachers, gradient].map((program) => executor.load(program));
        writeBatch(executor, batch(0), programs);
        for (const program of programs) executor.run(program);
        for (const term of terms) {
          const [found] = await executor.read(metricOf(term));
          expect(Math.abs(found - expected.terms[term]) / expected.terms[term], term).toBeLessThanOrEqual(tolerance);
        }
        // All that PyTorch gave a gradient is trained, and nothing else.
        const trained = trainedParameters(structure);
        const truth = new Map([...truths].filter(([key]) => key.startsWith(`${name}/`)));
        expect([...trained.keys()].sort()).toEqual(
          [...truth.keys()].map((key) => key.replace(`${name}/`, "student/")).sort(),
        );
        const most = Math.max(...[...truth.values()].flatMap((data) => Array.from(data, Math.abs)));
        for (const [path, shape] of trained) {
          const data = truth.get(path.replace("student/", `${name}/`)) as Float64Array;
          const found = await executor.read({ name: companions(path).gradient, shape, dtype: "f32" });
          const largest = Math.max(1e-3 * most, ...Array.from(data, Math.abs));
          const apart = Math.max(...Array.from(data, (x, i) => Math.abs(found[i] - x)));
          expect(apart / largest, `gradient of ${path}`).toBeLessThanOrEqual(tolerance);
        }
        executor.dispose();
      });

      test(`${name}: ten steps`, async () => {
        const executor = await place();
        const { beta1, beta2, epsilon, maxGradNorm: maxNorm } = optimiser;
        const trainer = new Trainer(executor, structure, {
          optimizer: { beta1, beta2, epsilon, maxNorm, weightDecay: 0 },
          seed: 1,
        });
        for (const [i, truth] of expected.steps.entries()) {
          const factor = learningRateFactor("linear", i, optimiser.totalSteps, optimiser.warmupSteps);
          expect(optimiser.peakLearningRate * factor).toBeCloseTo(truth.learningRate, 15);
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
