// The plan's numbers against what can be counted by hand, and against what a run then takes.

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type distill, finetune, type PlanOptions, plan, type RunPlan } from "../../src/index.ts";
import { makeTiny, type Tiny } from "../cli/tiny.ts";

let tiny: Tiny;
let planned: RunPlan;
beforeAll(async () => {
  tiny = await makeTiny();
  planned = await plan(options());
});
afterAll(() => tiny?.remove());

const path = (name: string) => join(tiny.folder, name);
const options = (more: Partial<PlanOptions> = {}): PlanOptions => ({
  ...{ model: path("base"), train: path("train.tsv"), device: "reference", batchSize: 8, epochs: 2 },
  ...more,
});

// The tiny BERT: 2 layers of width 32 and inner width 64, 2 classes.
const [D, F, L, C, POSITIONS] = [32, 64, 2, 2, 64];
const layer = 4 * (D * D + D) + (D * F + F) + (F * D + D) + 4 * D;
const parameters = () => (tiny.config.vocab_size + POSITIONS + 2) * D + 2 * D + L * layer + (D * D + D) + (C * D + C);

describe("plan of a fine-tuning", () => {
  test("parameters and bytes", () => {
    expect(planned.models).toHaveLength(1);
    expect(planned.models[0]).toMatchObject({ role: "model", parameters: parameters(), bytes: 4 * parameters() });
  });

  test("steps and real tokens are those that a run reports", async () => {
    expect(planned).toMatchObject({ rows: 64, steps: 16, tokens: 2 * planned.tokensPerEpoch });
    const run = finetune({ ...options({ maxSteps: 3 }), loggingSteps: 1 } as Parameters<typeof finetune>[0]);
    for await (const event of run) if (event.type === "start") expect(event.steps).toBe(3);
    expect((await plan(options({ maxSteps: 3 }))).steps).toBe(3);
  });

  test("FLOPs are between those of the products of all rows and those with attention over the longest text", () => {
    // The last layer has keys and values of all tokens, and the rest of [CLS] alone: 8 rows a step.
    const rest = 2 * (2 * D * D + 2 * D * F);
    const products = 2 * L * (4 * D * D + 2 * D * F) - rest + (rest * 8 * planned.steps) / planned.tokens;
    const { flopsPerToken } = planned.models[0];
    expect(flopsPerToken).toBeGreaterThan(products);
    expect(flopsPerToken).toBeLessThan(products + 4 * L * D * planned.largestBatch.longest + 2 * (D * D + D * C));
    expect(planned.flopsPerStep).toBeCloseTo((3 * flopsPerToken * planned.tokens) / planned.steps, 3);
  });

  test("memory: weights, gradients, two moments and the two numbers of the loss's guard; temporaries for the largest batch", () => {
    const { memory, largestBatch } = planned;
    expect(memory.student).toBe(16 * parameters() + 8);
    expect(memory.teachers).toBe(0);
    expect(memory.total).toBe(memory.student + memory.inputs + memory.temporaries);
    expect(memory.temporaries).toBeGreaterThan(4 * largestBatch.rows * F);
  });

  test("the time is the tokens of the run over the measured speed", () => {
    const { probe, tokens, estimatedSeconds } = planned;
    expect(probe.steps).toBeGreaterThan(0);
    expect(estimatedSeconds).toBeCloseTo(tokens / probe.tokensPerSecond, 6);
    expect(probe.memoryBytes).toBeGreaterThan(planned.memory.student);
  });
});

describe("plan of a distillation", () => {
  test("teachers count once forward, the student three times", async () => {
    const run = finetune({ ...options({ maxSteps: 1 }), out: path("teacher") } as Parameters<typeof finetune>[0]);
    await run.result;
    const { model: _, ...shared } = options() as { model: string } & PlanOptions;
    const given = { ...shared, teacher: path("teacher"), student: "layers:1" } as Parameters<typeof distill>[0];
    const { models, memory, flopsPerStep, steps, tokens } = await plan(given);
    expect(models.map(({ role }) => role)).toEqual(["teacher", "student"]);
    const [teacher, student] = models;
    expect(student.parameters).toBe(teacher.parameters - layer);
    expect(memory).toMatchObject({ teachers: 4 * teacher.parameters, student: 16 * student.parameters + 8 });
    expect(flopsPerStep).toBeCloseTo(((teacher.flopsPerToken + 3 * student.flopsPerToken) * tokens) / steps, 3);
  });

  test("nothing to plan is said", async () => {
    await expect(plan(options({ epochs: 0 }))).rejects.toThrow("--epochs: 0 epochs are 0 steps");
  });
});
