// The recipe bilstm: ten losses of its preset against PyTorch (test/fixtures/bilstm.py), and the command from texts to a student.

import { describe, expect, test } from "vitest";
import { type ModelConfig, parseConfig } from "../../src/models/index.ts";
import { optimizerNamed } from "../../src/optim/index.ts";
import { recipes } from "../../src/recipes/index.ts";
import { IDLE } from "../../src/recipes/recipe.ts";
import type { Weights } from "../../src/train/model.ts";
import { parametersOf } from "../../src/train/programs.ts";
import { stagesOf } from "../../src/train/stages.ts";
import { optimizerOptions } from "../../src/train/train.ts";
import { placeWeights, readWeights, Trainer } from "../../src/train/trainer.ts";
import { devices } from "../executors/each.ts";
import { fixtureBatch, fixtureBytes, fixtureJson, fixtureTensors } from "../fixtures/read.ts";

const facts = fixtureJson("bilstm-trajectory.json");
const preset = recipes.bilstm;
const [{ stage, options }] = stagesOf(preset, {}).stages;

function load(name: string): { config: ModelConfig; weights: Weights } {
  const config = parseConfig(new TextDecoder().decode(fixtureBytes(`${name}/config.json`)), name);
  const tensors = fixtureTensors(`${name}/model.safetensors`);
  const tensor = (path: string, shape: readonly number[]) => ({
    shape: [...shape],
    data: Float32Array.from(tensors.get(path) as Float64Array),
  });
  return { config, weights: new Map([...parametersOf(config)].map(([path, shape]) => [path, tensor(path, shape)])) };
}

test("its numbers are the paper's", () => {
  expect(options).toMatchObject({
    ...{
      optimizer: "adadelta",
      learningRate: 1,
      lrSchedulerType: "constant",
      warmupRatio: 0,
      batchSize: 50,
      epochs: 30,
    },
    ...{ weightDecay: 0, maxGradNorm: 0 },
  });
  expect({ ...optimizerNamed("adadelta").defaults, ...optimizerOptions(options) }).toMatchObject({
    beta2: facts.optimiser.rho,
  });
  expect(preset.augmentation).toEqual({ pMask: 0.1, pPos: 0.1, pNg: 0.25, nIter: 20, pairNIter: 10 });
});

for (const device of devices)
  describe.skipIf(device.missing)(`bilstm on ${device.name}`, () => {
    // f64 agrees with PyTorch's float64 to rounding; f32 drifts from it by about 1e-5 over ten steps of this size.
    const tolerance = device.name === "reference" ? 1e-9 : 1e-4;

    test("ten steps of AdaDelta on the teacher's logits", async () => {
      const [teacher, student] = [load("bert-a"), load("bilstm-a")];
      const executor = await device.make();
      placeWeights(executor, "student", student.weights);
      placeWeights(executor, "teacher0", teacher.weights);
      const trainer = new Trainer(
        executor,
        {
          student: { owner: "student", config: student.config },
          teachers: [{ owner: "teacher0", config: teacher.config }],
          ...{ stage, regression: false, optimizer: optimizerNamed(options.optimizer) },
        },
        { optimizer: optimizerOptions(options), seed: 1 },
      );
      for (const [i, truth] of facts.float64.entries()) {
        // No row has a label, as those of the augmentation.
        const sequences = facts.batches[i % facts.batches.length];
        const batch = fixtureBatch(
          sequences,
          sequences.map(() => null),
        );
        const { loss } = await trainer.step([batch], options.learningRate, { ...IDLE, alpha: 1 });
        expect(Math.abs(loss - truth) / truth, `loss ${i}`).toBeLessThanOrEqual(tolerance);
      }
      const final = await readWeights(executor, "student", student.config);
      for (const [path, truth] of Object.entries(facts.final as Record<string, number[]>)) {
        const flat = [truth].flat(3) as number[];
        const largest = Math.max(...flat.map(Math.abs));
        // Weights are read as f32.
        final.get(path)?.data.forEach((x, i) => {
          expect(Math.abs(x - flat[i]) / largest, `${path}[${i}]`).toBeLessThanOrEqual(Math.max(tolerance, 1e-7));
        });
      }
      executor.dispose();
    });
  });
