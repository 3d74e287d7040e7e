// Ten optimiser steps against ten PyTorch losses (test/fixtures/trajectory.py): fine-tuning, and pkd-skip with every term.
// AdamW with weight decay, clipping, warm-up and decay are on; dropout is off.

import { describe, expect, test } from "vitest";
import { type ModelConfig, parseConfig } from "../../src/models/index.ts";
import { adamw } from "../../src/optim/adamw.ts";
import { learningRateFactor } from "../../src/optim/schedule.ts";
import { recipes } from "../../src/recipes/index.ts";
import { termWeights } from "../../src/recipes/terms.ts";
import type { Weights } from "../../src/train/model.ts";
import { parametersOf } from "../../src/train/programs.ts";
import { pruneLayers } from "../../src/train/student.ts";
import { placeWeights, readWeights, Trainer } from "../../src/train/trainer.ts";
import { devices } from "../executors/each.ts";
import { fixtureBatch, fixtureBytes, fixtureJson, fixtureTensors } from "../fixtures/read.ts";

const facts = fixtureJson("trajectory.json");
const { optimiser } = facts;

function bertA(): { config: ModelConfig; weights: Weights } {
  const parsed = parseConfig(new TextDecoder().decode(fixtureBytes("bert-a/config.json")), "bert-a");
  const config = { ...parsed, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 };
  const tensors = fixtureTensors("bert-a/model.safetensors");
  const weights: Weights = new Map(
    [...parametersOf(config)].map(([path, shape]) => [
      path,
      { shape: [...shape], data: Float32Array.from(tensors.get(path) as Float64Array) },
    ]),
  );
  return { config, weights };
}

for (const device of devices)
  describe.skipIf(device.missing)(`trajectory on ${device.name}`, () => {
    // f64 agrees with PyTorch's float64 to rounding; f32 drifts from it by about 1e-5 over ten steps of this size.
    const tolerance = device.name === "reference" ? 1e-9 : 1e-4;

    test.each(["finetune", "distill"] as const)("%s", async (task) => {
      const expected = facts[task];
      const teacher = bertA();
      const distill = task === "distill";
      const student = distill ? pruneLayers(teacher, expected.studentLayers) : teacher;
      const executor = await device.make();
      placeWeights(executor, "student", student.weights);
      if (distill) placeWeights(executor, "teacher0", teacher.weights);
      const stage = recipes[distill ? "pkd-skip" : "hard"].stages.task;
      const trainer = new Trainer(
        executor,
        {
          student: { owner: "student", config: student.config },
          teachers: distill ? [{ owner: "teacher0", config: teacher.config }] : [],
          stage,
          regression: false,
          optimizer: adamw,
        },
        { optimizer: { weightDecay: optimiser.weightDecay, maxNorm: optimiser.maxGradNorm }, seed: 1 },
      );
      const hyper = { temperature: expected.temperature, alpha: expected.alpha, beta: expected.beta };
      const weights = distill ? termWeights(stage, hyper, false) : {};
      let clipped = 0;
      for (const [i, truth] of expected.float64.entries()) {
        const rate =
          optimiser.peakLearningRate * learningRateFactor("linear", i, optimiser.totalSteps, optimiser.warmupSteps);
        expect(rate).toBeCloseTo(truth.learningRate, 15);
        const batch = fixtureBatch(facts.batches[truth.batch], expected.labels[truth.batch]);
        const step = await trainer.step([batch], rate, hyper);
        expect(Math.abs(step.loss - truth.loss) / truth.loss, `loss ${i}`).toBeLessThanOrEqual(tolerance);
        expect(Math.abs(step.gradientNorm - truth.gradNorm) / truth.gradNorm, `norm ${i}`).toBeLessThanOrEqual(
          10 * tolerance,
        );
        for (const [term, weight] of Object.entries(weights))
          expect(Math.abs(step.terms[term] * weight - truth[term]), `${term} ${i}`).toBeLessThanOrEqual(
            tolerance * truth.loss,
          );
        if (step.gradientNorm > optimiser.maxGradNorm) clipped++;
      }
      // The fixture has both kinds of step, else clipping would be untested.
      expect(clipped).toBeGreaterThan(0);
      if (!distill) expect(clipped).toBeLessThan(expected.float64.length);
      const final = await readWeights(executor, "student", student.config);
      for (const [path, truth] of Object.entries(expected.final as Record<string, number[]>)) {
        const flat = [truth].flat(3) as number[];
        const found = (final.get(path) as { data: Float32Array }).data;
        const largest = Math.max(...flat.map(Math.abs));
        flat.forEach((x, i) => {
          // Weights are read as f32.
          expect(Math.abs(found[i] - x) / largest, `${path}[${i}]`).toBeLessThanOrEqual(Math.max(tolerance, 1e-7));
        });
      }
      executor.dispose();
    });
  });
