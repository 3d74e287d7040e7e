// Mixed precision: a training in it follows one in f32, a scale that is too large is found out, and it is refused where it cannot be.

import { describe, expect, test } from "vitest";
import type { Executor } from "../../src/executors/executor.ts";
import { memoryFiles } from "../../src/formats/files.ts";
import { LOSS_SCALE } from "../../src/ops/index.ts";
import { adamw } from "../../src/optim/adamw.ts";
import { recipes } from "../../src/recipes/index.ts";
import { partsOf, readCheckpoint, stateOf, writeCheckpoint } from "../../src/train/checkpoint.ts";
import { freshWeights } from "../../src/train/model.ts";
import { TRAINING } from "../../src/train/options.ts";
import { featureProgram, forwardProgram, stepPrograms, updateProgram } from "../../src/train/programs.ts";
import { LastingDevice, LastingTrainer } from "../../src/train/recovery.ts";
import { trainingLoop } from "../../src/train/run.ts";
import { openDevice } from "../../src/train/session.ts";
import { placeWeights, readWeights, type StepResult, Trainer } from "../../src/train/trainer.ts";
import { devices, wasm, webgpu } from "../executors/each.ts";
import { here } from "../hosts/here.ts";
import { posing } from "./gpus.ts";
import { bytesOf, tinyBatches, tinyConfig } from "./tiny.ts";

const config = tinyConfig(2);
const teacher = tinyConfig(3);

const LACKS = "this GPU has no shader-f16";
const lacks = ({ features }: Executor) => features?.has("shader-f16") === false;

const structure = (half: boolean) => ({
  student: { owner: "student", config, half },
  teachers: [{ owner: "teacher0", config: teacher, half }],
  stage: recipes.kd.stages.task,
  ...{ regression: false, optimizer: adamw },
});

function trainerOn(executor: Executor, half: boolean): Trainer {
  placeWeights(executor, "teacher0", freshWeights(teacher, 1));
  placeWeights(executor, "student", freshWeights(config, 2));
  return new Trainer(executor, structure(half), { seed: 3 });
}

const hyper = { temperature: 4, alpha: 0.7, beta: 0 };

async function steps(trainer: Trainer, count: number): Promise<StepResult[]> {
  const batches = tinyBatches(2, 6, 5);
  const results = [];
  for (let i = 0; i < count; i++) results.push(await trainer.step([batches[i % 2]], 1e-3, hyper));
  return results;
}

for (const device of devices.filter(({ name }) => name !== "reference"))
  describe.skipIf(device.missing)(`mixed precision on ${device.name}`, () => {
    test("ends where f32 ends, twice with the same bits", async ({ skip }) => {
      const executor = await device.make();
      skip(lacks(executor), LACKS);
      const count = 40;
      const exact = await steps(trainerOn(executor, false), count);
      const results = await steps(trainerOn(executor, true), count);
      expect(await steps(trainerOn(executor, true), 6)).toEqual(results.slice(0, 6));
      executor.dispose();
      const apart = (a: number, b: number) => Math.abs(a - b) / b;
      const most = Math.max(...results.map(({ loss }, i) => apart(loss, exact[i].loss)));
      console.log(
        `mixed precision on ${device.name}: losses of ${count} steps differ from f32 by at most ${most.toExponential(1)}`,
      );
      // 11 bits in every factor of every product: 5e-4 each, and no more in the mean; then AdamW, whose first steps have the size of the
      // learning rate whatever the gradient's, goes its own way.
      expect(most).toBeLessThan(3e-3);
      // Else nothing was learnt, or nothing rounded.
      expect(exact[count - 1].loss).toBeLessThan(0.9 * exact[0].loss);
      expect(results[0].loss).not.toBe(exact[0].loss);
      for (const [i, { gradientNorm, lossScale, skippedSteps }] of results.entries()) {
        if (i < 4) expect(apart(gradientNorm, exact[i].gradientNorm)).toBeLessThan(2e-2);
        expect([lossScale, skippedSteps]).toEqual([65536, 0]);
      }
    });

    test("halves a scale that is too large, counts the steps that it skips, and leaves the weights alone until it fits", async ({
      skip,
    }) => {
      const executor = await device.make();
      skip(lacks(executor), LACKS);
      const trainer = trainerOn(executor, true);
      executor.write(LOSS_SCALE, Float64Array.of(2 ** 60, 2 ** -60, 0, 0));
      const before = bytesOf(await readWeights(executor, "student", config));
      const [refused, again] = await steps(trainer, 2);
      expect([refused.lossScale, again.lossScale]).toEqual([2 ** 59, 2 ** 58]);
      expect([refused.skippedSteps, again.skippedSteps]).toEqual([1, 2]);
      expect(Number.isFinite(refused.gradientNorm)).toBe(false);
      expect(Number.isFinite(refused.loss)).toBe(true);
      expect(bytesOf(await readWeights(executor, "student", config))).toBe(before);
      // A snapshot has the scale.
      const snapshot = await trainer.snapshot();
      executor.write(LOSS_SCALE, Float64Array.of(2 ** 12, 2 ** -12, 0, 2));
      const [fits] = await steps(trainer, 1);
      expect(Number.isFinite(fits.gradientNorm)).toBe(true);
      expect(fits.skippedSteps).toBe(2);
      expect(bytesOf(await readWeights(executor, "student", config))).not.toBe(before);
      trainer.restore(snapshot);
      expect([...(await executor.read(LOSS_SCALE))]).toEqual([2 ** 58, 2 ** -58, 0, 2]);
      // Where even 1 is too large something else is wrong.
      executor.write(LOSS_SCALE, Float64Array.of(1, 1, 0, 0));
      placeWeights(
        executor,
        "student",
        new Map([["classifier.weight", { shape: [2, 24], data: new Float32Array(48).fill(1e6) }]]),
      );
      expect((await steps(trainer, 1))[0].skipped).toBe(true);
      executor.dispose();
    });
  });

test("the training loop reports scale and skipped steps, and tells at the end how many there were", async () => {
  const { executor, ...device } = await openDevice(here.runtime, { device: "wasm", threads: 1 });
  const lasting = new LastingDevice({ executor, ...device }, () => Promise.reject(new Error("nothing is lost here")));
  await lasting.place("teacher0", freshWeights(teacher, 1));
  // Gradients of logits this steep do not fit 16 bits 65536-fold.
  const student = freshWeights(config, 2);
  student.set("classifier.weight", {
    shape: [2, 24],
    data: Float32Array.from({ length: 48 }, (_, i) => (i < 24 ? 3000 : -3000)),
  });
  await lasting.place("student", student);
  const rows = Array.from({ length: 8 }, (_, i) => ({ ids: [1 + i, 2, 3], segments: [0, 0, 0], label: i % 2 }));
  const events = [];
  const loop = trainingLoop({
    ...{ trainer: new LastingTrainer(lasting, structure(true), { seed: 3 }), parameters: 0, hyper },
    train: { rows, truncated: 0, regression: false },
    options: { ...TRAINING, epochs: 0, maxSteps: 3, batchSize: 4, loggingSteps: 1 },
  });
  for await (const event of loop) events.push(event);
  executor.dispose();
  const reported = events.flatMap((event) => (event.type === "step" ? [[event.lossScale, event.skippedSteps]] : []));
  expect(reported[0]).toEqual([32768, 1]);
  expect(reported).toHaveLength(3);
  const [, last] = reported[2];
  expect(events.at(-1)).toEqual({
    ...{ type: "note", text: `${last} of 3 steps were skipped: gradients left the range of half precision` },
  });
});

test("every program of a model rounds, or none does", () => {
  const shape = { sequences: 2, rows: 64, longest: 16 };
  for (const half of [true, false]) {
    const of = structure(half);
    const { teachers, gradient } = stepPrograms(of, shape);
    const [placed] = of.teachers;
    const all = [...teachers, gradient, forwardProgram(placed, shape), featureProgram(placed, ["logits"], shape)];
    for (const { name, instructions } of all)
      expect(
        instructions.some(({ op }) => op.name === "half"),
        name,
      ).toBe(half);
    expect(updateProgram(of).instructions.some(({ op }) => op.name === "lossScale")).toBe(half);
  }
});

describe("mixed precision is refused by name", () => {
  const fp16 = { fp16: true };
  const none = () => [];

  test.each(["wasm", "reference"] as const)("by %s", async (device) => {
    const message = expect.stringContaining(`${device} would only round to it`);
    await expect(openDevice(here.runtime, { device }, none, fp16)).rejects.toMatchObject({ code: "FP16", message });
  });

  test("where there is no GPU", async () => {
    const message = "--fp16: half precision needs a GPU with shader-f16: here has no WebGPU; leave --fp16 out.";
    const runtime = { ...here.runtime, name: "here", gpu: undefined };
    const opened = openDevice(runtime, { device: "auto" }, none, fp16);
    await expect(opened).rejects.toMatchObject({ code: "FP16", message });
  });

  test.skipIf(webgpu.missing)("by a GPU without half precision, and where it is left out", async () => {
    const gpu = (await here.runtime.gpu?.()) as GPU;
    const plain = posing(gpu, { description: "a plain GPU" });
    const request = plain.requestAdapter;
    plain.requestAdapter = async (options) =>
      Object.assign((await request(options)) as GPUAdapter, { features: new Set(["subgroups"]) });
    for (const [options, why] of [
      [{ device: plain }, "a plain GPU has none"],
      [{ device: gpu, gpuFeatures: ["subgroups"] }, "--gpu-features leaves that out"],
    ] as const)
      await expect(openDevice(here.runtime, options, none, fp16)).rejects.toMatchObject({
        ...{ code: "FP16", message: expect.stringContaining(why) },
      });
  });

  test.skipIf(webgpu.missing)(
    "but not by one that has it, whose kernels are tested with it; nobody else asks for it",
    async ({ skip }) => {
      const executor = await webgpu.make();
      skip(lacks(executor), LACKS);
      const gpu = (await here.runtime.gpu?.()) as GPU;
      for (const half of [true, false]) {
        const opened = await openDevice(here.runtime, { device: gpu }, none, { fp16: half });
        expect(opened.executor.features?.has("shader-f16")).toBe(half);
        opened.executor.dispose();
      }
    },
  );
});

test("a checkpoint has the scale of the loss, and how often steps were skipped for it", async () => {
  const executor = await wasm(1).make();
  const trainer = trainerOn(executor, true);
  await steps(trainer, 1);
  const state = { ...(await trainer.snapshot()), steps: { taken: 1, skipped: 0, inRow: 0 } };
  executor.dispose();
  const checkpoint = {
    ...{ step: 1, before: 0, stage: "task", events: [], notes: [], seconds: 0, numerics: "webgpu", identity: {} },
    loop: { step: 1, epoch: 0, batch: 1, tokens: 9, skipped: 0, evaluatedAt: 0, seconds: 0 },
    ...partsOf(state, "student", freshWeights(config, 2)),
  };
  const files = memoryFiles({}, "checkpoint-1");
  await writeCheckpoint(files, checkpoint);
  const found = stateOf(await readCheckpoint(files), structure(true), "checkpoint-1");
  expect(found.steps).toEqual(state.steps);
  for (const [name, { data }] of state.tensors)
    expect([...(found.tensors.get(name)?.data ?? [])], name).toEqual([...data]);
  expect(found.tensors.get(LOSS_SCALE.name)?.data).toHaveLength(4);
});
