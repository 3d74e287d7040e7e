// The GPU's side of the programs, as plain data: how much there is to do, and that WebGPU's smallest limits allow it. Needs no GPU.

import { describe, expect, test } from "vitest";
import type { BertConfig } from "../../src/models/bert.ts";
import { adamw } from "../../src/optim/adamw.ts";
import { elements, spread } from "../../src/program/dispatch.ts";
import type { Program } from "../../src/program/program.ts";
import { sizeOf } from "../../src/program/value.ts";
import { recipes } from "../../src/recipes/index.ts";
import { forwardProgram, stepPrograms, updateProgram } from "../../src/train/programs.ts";
import { tinyConfig } from "../train/tiny.ts";

const base: BertConfig = {
  ...tinyConfig(12, 768),
  ...{ vocab_size: 30522, num_attention_heads: 12, intermediate_size: 3072, max_position_embeddings: 512 },
};
const small: BertConfig = { ...base, num_hidden_layers: 4, hidden_size: 312, intermediate_size: 1200 };

function programs(config: BertConfig, recipe: "hard" | "kd" | "pkd-skip", teacher?: BertConfig): Program[] {
  const student = { owner: "student", config };
  const teachers = teacher ? [{ owner: "teacher0", config: teacher }] : [];
  const structure = { student, teachers, stage: recipes[recipe].stages.task, regression: false, optimizer: adamw };
  const step = stepPrograms(structure, { sequences: 32, rows: 4096, longest: 128 });
  return [...step.teachers, step.gradient, updateProgram(structure)];
}

const dispatches = (program: Program) =>
  program.instructions.flatMap((instruction) => {
    const { op, dims, attributes } = instruction;
    return op.dispatches(dims, attributes, instruction).map((dispatch) => ({ op, ...dispatch }));
  });

describe("dispatches of a step", () => {
  test.each([
    ["fine-tuning 4×312", programs(small, "hard"), 375],
    ["BERT-base → 4×312 by kd", programs(small, "kd", base), 570],
    ["BERT-base → 6 layers by pkd-skip", programs({ ...base, num_hidden_layers: 6 }, "pkd-skip", base), 790],
  ])("%s stays within its budget", (_, all, budget) => {
    const count = all.reduce((sum, program) => sum + dispatches(program).length, 0);
    expect(count).toBeLessThanOrEqual(budget);
    // A budget far above the count would let growth pass unseen.
    expect(count).toBeGreaterThan(0.95 * budget);
  });

  test("BERT-base at 32 × 128 tokens fits WebGPU's default limits [G3]", () => {
    const shape = { sequences: 32, rows: 4096, longest: 128 };
    for (const program of [...programs(base, "hard"), forwardProgram({ owner: "m", config: base }, shape)]) {
      for (const { op, entry, grid, bind } of dispatches(program)) {
        expect(Math.max(...grid), entry).toBeLessThanOrEqual(65535);
        expect((bind ?? ["out", ...Object.keys(op.inputs)]).length, entry).toBeLessThanOrEqual(8);
      }
      for (const value of program.values) expect(sizeOf(value) * 4, value.name).toBeLessThanOrEqual(2 ** 27);
    }
  });
});

test("whatever lies in buffers of 128 MiB has a grid within WebGPU's smallest limits, be it many sequences or long ones", () => {
  const narrow = { ...tinyConfig(2, 32), vocab_size: 30522 };
  for (const [sequences, rows, longest] of [
    [60_000, 2 ** 17, 16],
    [1024, 2 ** 17, 128],
    [1, 512, 512],
  ]) {
    const shape = { sequences, rows, longest };
    const structure = { student: { owner: "s", config: narrow }, teachers: [], stage: recipes.hard.stages.task };
    const { gradient } = stepPrograms({ ...structure, regression: false, optimizer: adamw }, shape);
    for (const { entry, grid } of dispatches(gradient)) expect(Math.max(...grid), entry).toBeLessThanOrEqual(65535);
    for (const value of gradient.values) expect(sizeOf(value) * 4, value.name).toBeLessThanOrEqual(2 ** 27);
  }
});

test("a grid has as many workgroups as asked for, in two dimensions where one does not reach", () => {
  expect(elements(1)).toEqual([1, 1, 1]);
  expect(elements(257)).toEqual([2, 1, 1]);
  for (const n of [65535, 65536, 91_567, 200_001]) {
    const [x, y, z] = spread(n);
    expect(x * y * z).toBeGreaterThanOrEqual(n);
    expect(x * y * z - n).toBeLessThan(y);
    expect(Math.max(x, y)).toBeLessThanOrEqual(65535);
  }
});
