// Properties of a training step: accumulation, rows that belong to no sequence, unlabelled rows, numbers that are not finite.

import { describe, expect, test } from "vitest";
import { type Encoded, makeBatch } from "../../src/data/batch.ts";
import { ReferenceExecutor } from "../../src/executors/reference.ts";
import { labelMaps } from "../../src/formats/config.ts";
import { batchValues, shown } from "../../src/models/features.ts";
import { traceModel } from "../../src/models/index.ts";
import { gradient, keep } from "../../src/ops/index.ts";
import { adamw } from "../../src/optim/adamw.ts";
import { companions } from "../../src/optim/optimizer.ts";
import { Trace } from "../../src/program/program.ts";
import { Scope } from "../../src/program/scope.ts";
import { recipes } from "../../src/recipes/index.ts";
import { traceTerms } from "../../src/recipes/terms.ts";
import { freshWeights } from "../../src/train/model.ts";
import { placeWeights, readWeights, shapeOf, Trainer, writeBatch } from "../../src/train/trainer.ts";
import { devices } from "../executors/each.ts";
import { bytesOf, hashOf, tinyBatches, tinyConfig } from "./tiny.ts";

const hyper = { temperature: 1, alpha: 0, beta: 0 };
const config = { ...tinyConfig(2), hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 };
const structure = {
  student: { owner: "student", config },
  teachers: [],
  stage: recipes.hard.stages.task,
  regression: false,
  optimizer: adamw,
};
const rows: Encoded[] = [7, 1, 18, 5, 12, 3].map((n, i) => ({
  ids: Array.from({ length: n }, (_, j) => (i * 13 + j * 5) % 50),
  segments: new Array(n).fill(0),
  label: i === 4 ? undefined : i % 2,
}));

for (const device of devices)
  describe.skipIf(device.missing)(`trainer on ${device.name}`, () => {
    const tolerance = device.name === "reference" ? 1e-9 : 1e-4;
    const trained = async (batches: Parameters<Trainer["step"]>[0]) => {
      const executor = await device.make();
      placeWeights(executor, "student", freshWeights(config, 3));
      const trainer = new Trainer(executor, structure, { seed: 1 });
      const results = [];
      for (let i = 0; i < 3; i++) results.push(await trainer.step(batches, 1e-3, hyper));
      executor.dispose();
      return results;
    };

    test("micro-batches of unequal labels equal the unsplit batch", async () => {
      const counts = { labelledCount: 5, sequenceCount: 6 };
      const whole = await trained([makeBatch(rows, { size: 6 })]);
      const split = await trained([
        makeBatch(rows.slice(0, 1), { size: 4, ...counts }),
        makeBatch(rows.slice(1, 5), { size: 4, ...counts }),
        makeBatch(rows.slice(5), { size: 4, ...counts }),
      ]);
      whole.forEach(({ loss, gradientNorm }, i) => {
        expect(Math.abs(split[i].loss - loss) / loss).toBeLessThanOrEqual(tolerance);
        expect(Math.abs(split[i].gradientNorm - gradientNorm) / gradientNorm).toBeLessThanOrEqual(tolerance);
      });
    });

    test("tail rows of the bucket have zero attention scores and zero gradients", async () => {
      const batch = makeBatch(rows, { size: 8 });
      expect(batch.rows).toBeGreaterThan(batch.tokens);
      const trace = new Trace();
      const scope = new Scope(trace, "student", true);
      const values = batchValues(trace, shapeOf(batch));
      const features = shown(traceModel(scope, config, values), "bert");
      const { hard } = traceTerms(recipes.hard.stages.task, {
        ...{ teachers: [], student: features, batch: values, regression: false, project: (_, x) => x },
        temperature: trace.input("recipe/temperature", [1]),
      });
      const target = trace.state("d", features.hidden[0].shape);
      gradient(hard, new Map([[features.hidden[0], target]]));
      const scores = keep(features.scores[1], "scores");
      const executor = await device.make();
      const loaded = executor.load(trace.finish("tail"));
      placeWeights(executor, "student", freshWeights(config, 3));
      executor.write({ name: "dropout", shape: [2], dtype: "u32" }, Uint32Array.of(1, 1));
      writeBatch(executor, batch, [loaded]);
      executor.run(loaded);
      const d = await executor.read(target);
      const D = config.hidden_size;
      expect(d.subarray(batch.tokens * D).every((x) => x === 0)).toBe(true);
      expect(d.subarray(0, batch.tokens * D).some((x) => x !== 0)).toBe(true);
      const width = config.num_attention_heads * batch.longest;
      expect((await executor.read(scores)).subarray(batch.tokens * width).every((x) => x === 0)).toBe(true);
      executor.dispose();
    });

    test("a snapshot is all that the next steps follow from, on this executor and on another [N3]", async () => {
      const batches = tinyBatches(2, 4, 3);
      const dropped = { ...structure, student: { owner: "student", config: tinyConfig(1) } };
      const start = async () => {
        const executor = await device.make();
        placeWeights(executor, "student", freshWeights(dropped.student.config, 3));
        return new Trainer(executor, dropped, { seed: 1 });
      };
      const further = async (trainer: Trainer) => {
        const losses = [];
        for (const batch of batches) losses.push((await trainer.step([batch], 1e-2, hyper)).loss);
        return {
          losses,
          weights: await hashOf(await readWeights(trainer.executor, "student", dropped.student.config)),
        };
      };
      const [first, second] = [await start(), await start()];
      await further(first);
      const state = await first.snapshot();
      let expected = await further(first);
      if (device.name === "reference") {
        // It computes in f64, and a snapshot is f32.
        first.restore(state);
        expected = await further(first);
      }
      // Half a step: gradients that no update has used.
      first.restore({ ...state, microBatches: 99 });
      await first.step([batches[0], batches[1]], 0, hyper);
      for (const trainer of [first, second]) {
        trainer.restore(state);
        expect(await further(trainer)).toEqual(expected);
        trainer.executor.dispose();
      }
    });

    test("a loss that is not finite is seen before the update: weights and moments stay, gradients are zero [N1]", async () => {
      const executor = await device.make();
      const weights = freshWeights(config, 3);
      placeWeights(executor, "student", weights);
      const trainer = new Trainer(executor, structure, { seed: 1 });
      const [batch] = tinyBatches(1, 6, 3);
      await trainer.step([batch], 1e-3, hyper);
      const before = bytesOf(await readWeights(executor, "student", config));
      const bias = { name: "student/classifier.bias", shape: [2], dtype: "f32" } as const;
      executor.write(bias, Float32Array.of(Number.NaN, 0));
      const { skipped, loss, terms } = await trainer.step([batch], 1e-3, hyper);
      expect([skipped, loss, terms.hard]).toEqual([true, Number.NaN, Number.NaN]);
      executor.write(bias, (weights.get("classifier.bias") as { data: Float32Array }).data);
      const after = await readWeights(executor, "student", config);
      after.set("classifier.bias", { shape: [2], data: new Float32Array(2) });
      const expected = before.replace(/^classifier\.bias .*$/m, "");
      expect(bytesOf(after).replace(/^classifier\.bias .*$/m, "")).toBe(expected);
      const gradients = companions("student/classifier.weight").gradient;
      const left = await executor.read({ name: gradients, shape: [2, config.hidden_size], dtype: "f32" });
      expect(left.every((x) => x === 0)).toBe(true);
      executor.dispose();
    });

    test("a loss that is infinite, though its gradient is a number, is seen before the update too, in whichever micro-batch [N1]", async () => {
      const regression = { ...config, ...labelMaps(["LABEL_0"]), problem_type: "regression" as const };
      const scored = { ...structure, student: { owner: "student", config: regression }, regression: true };
      const batch = (score: number) =>
        makeBatch(
          rows.slice(0, 4).map((row) => ({ ...row, label: score })),
          { size: 4, kind: "regression", labelledCount: 8 },
        );
      const executor = await device.make();
      placeWeights(executor, "student", freshWeights(regression, 3));
      const trainer = new Trainer(executor, scored, { seed: 1 });
      const weights = async () => bytesOf(await readWeights(executor, "student", regression));
      const before = await weights();
      // (2.2e19)² is beyond f32, 2 · 2.2e19 / 8 and the square of that are not.
      const f32 = device.name !== "reference";
      const infinite = batch(f32 ? 2.2e19 : 1e160);
      for (const split of [
        [infinite, batch(0)],
        [batch(0), infinite],
      ]) {
        const { loss, skipped } = await trainer.step(split, 1e-3, hyper);
        expect([loss, skipped]).toEqual([Number.POSITIVE_INFINITY, true]);
        expect(await weights()).toBe(before);
      }
      expect((await trainer.step([batch(0), batch(1)], 1e-3, hyper)).skipped).toBeUndefined();
      expect(await weights()).not.toBe(before);
      executor.dispose();
    });
  });

test("at most two steps are in flight: the third waits until the first is done", async () => {
  const executor = new ReferenceExecutor();
  const done: (() => void)[] = [];
  executor.finished = () => new Promise((resolve) => done.push(resolve));
  placeWeights(executor, "student", freshWeights(config, 3));
  const trainer = new Trainer(executor, structure, { seed: 1 });
  const [batch] = tinyBatches(1, 2, 3);
  for (let i = 0; i < 2; i++) {
    await trainer.turn();
    await trainer.step([batch], 1e-3, hyper, true);
  }
  let turned = false;
  const turn = trainer.turn().then(() => {
    turned = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect([done.length, turned]).toEqual([2, false]);
  done[0]();
  await turn;
});
