// DistilBERT's stage on plain text (test/fixtures/distilbert.py), MobileBERT's of masked tokens (maskedTransfer.py), and masked-LM alone, against
// PyTorch in float64: every term, every gradient of the student, ten steps with the optimiser on. Dropout is off.

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

const FILES: Record<string, Record<string, Stage>> = {
  distilbert: {
    all: recipes.distilbert.stages.text,
    masked: withChoices(recipes.distilbert, { restrictCeToMask: true }).stages.text,
    body: recipes.mlm.stages.text,
    head: { ...recipes.mlm.stages.text, frozen: true },
  },
  maskedTransfer: {
    masked: recipes.mobilebert.stages.masked,
    head: { ...recipes.mlm.stages.text, frozen: true },
  },
};

function model(path: string) {
  const text = new TextDecoder().decode(fixtureBytes(`${path}/config.json`));
  const config = { ...parseConfig(text, path), tasks: ["maskedLm" as const] };
  const tensors = fixtureTensors(`${path}/model.safetensors`);
  const weights: Weights = new Map(
    [...parametersOf(config)].map(([name, shape]) => [
      name,
      { shape: [...shape], data: Float32Array.from(tensors.get(name) as Float64Array) },
    ]),
  );
  return { config, weights };
}

test("the recipes have the numbers of the authors' code", () => {
  const { optimiser, temperature } = fixtureJson("distilbert.json");
  expect(recipes.distilbert.hyper).toEqual({ temperature, alpha: 0.5 });
  expect(FILES.distilbert.all.training).toMatchObject({
    ...{ adamBeta2: optimiser.beta2, adamEpsilon: optimiser.epsilon, maxGradNorm: optimiser.maxGradNorm },
    weightDecay: 0,
  });
  const training = { optimizer: "lamb", learningRate: 1.5e-3, warmupRatio: 0.02 };
  expect(FILES.maskedTransfer.masked.training).toMatchObject(training);
  expect(recipes["mobilebert-joint"].stages.masked).toEqual(FILES.maskedTransfer.masked);
  expect(Object.keys(recipes["mobilebert-auxiliary"].stages)).toEqual(["task"]);
});

for (const [file, given] of Object.entries(FILES)) {
  const { optimiser, temperature, batches, stages } = fixtureJson(`${file}.json`);
  const truths = fixtureTensors(`${file}.safetensors`);
  const hyper = { ...IDLE, temperature };
  const [teacher, student] = [model(`${file}/teacher`), model(`${file}/student`)];
  const batch = (i: number) => fixtureMasked(batches[i], 1);

  for (const device of devices)
    describe.skipIf(device.missing)(`${file} on ${device.name}`, () => {
      const tolerance = device.name === "reference" ? 1e-9 : 1e-4;

      for (const [name, expected] of Object.entries(stages) as [string, (typeof stages)[string]][]) {
        const stage = given[name];
        const { config, weights } = "soft" in stage.terms ? student : teacher;
        const structure: StepStructure = {
          student: { owner: "student", config },
          teachers: "soft" in stage.terms ? [{ owner: "teacher0", config: teacher.config }] : [],
          ...{ stage, regression: false, optimizer: optimizerNamed(expected.optimizer ?? "adamw") },
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
          const { beta1, beta2, epsilon, maxGradNorm: maxNorm, weightDecay = 0 } = optimiser;
          const own = beta1 === undefined ? {} : { beta1, beta2, epsilon };
          const trainer = new Trainer(executor, structure, { optimizer: { ...own, maxNorm, weightDecay }, seed: 1 });
          const peak = expected.peak ?? optimiser.peakLearningRate;
          for (const [i, truth] of expected.steps.entries()) {
            const factor = learningRateFactor("linear", i, optimiser.totalSteps, optimiser.warmupSteps);
            expect(peak * factor).toBeCloseTo(truth.learningRate, 15);
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
