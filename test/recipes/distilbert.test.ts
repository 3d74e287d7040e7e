// DistilBERT's stage on plain text (test/fixtures/distilbert.py), MobileBERT's of masked tokens (maskedTransfer.py), and masked-LM alone, against
// PyTorch in float64: every term, every gradient of the student, ten steps with the optimiser on. Dropout is off.

import { describe, expect, test } from "vitest";
import { optimizerNamed } from "../../src/optim/index.ts";
import { learningRateFactor } from "../../src/optim/schedule.ts";
import { withChoices } from "../../src/recipes/choices.ts";
import { recipes } from "../../src/recipes/index.ts";
import { IDLE, type Stage } from "../../src/recipes/recipe.ts";
import { termWeights } from "../../src/recipes/terms.ts";
import type { StepStructure } from "../../src/train/programs.ts";
import { placeWeights, Trainer } from "../../src/train/trainer.ts";
import { devices } from "../executors/each.ts";
import { fixtureJson, fixtureMasked, fixtureTensors } from "../fixtures/read.ts";
import { expectGradients, expectSteps, expectTerms, fixtureModel } from "./golden.ts";

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
  const [teacher, student] = [`${file}/teacher`, `${file}/student`].map((path) => fixtureModel(path, ["maskedLm"]));
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
          const step = { structure, batch: batch(0), weights: weighted, temperature };
          await expectTerms(executor, step, expected.terms, tolerance);
          const own = [...truths].filter(([key]) => key.startsWith(`${name}/`));
          const gradients = new Map(own.map(([key, data]) => [key.replace(`${name}/`, "student/"), data]));
          await expectGradients(executor, structure, gradients, tolerance);
          executor.dispose();
        });

        test(`${name}: ten steps`, async () => {
          const executor = await place();
          const { beta1, beta2, epsilon, maxGradNorm: maxNorm, weightDecay = 0 } = optimiser;
          const own = beta1 === undefined ? {} : { beta1, beta2, epsilon };
          const trainer = new Trainer(executor, structure, { optimizer: { ...own, maxNorm, weightDecay }, seed: 1 });
          const { totalSteps, warmupSteps } = optimiser;
          const rate = (i: number) =>
            (expected.peak ?? optimiser.peakLearningRate) * learningRateFactor("linear", i, totalSteps, warmupSteps);
          const given = { batch: (i: number) => batch(i % batches.length), hyper, rate };
          await expectSteps(trainer, expected.steps, given, tolerance);
          executor.dispose();
        });
      }
    });
}
