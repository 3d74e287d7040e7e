// The language itself: shapes are checked, traces are pure, plans never let two living values share a slot.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { labelMaps } from "../../src/formats/config.ts";
import type { BertConfig } from "../../src/models/bert.ts";
import { add, gradient, keep, linear, mul } from "../../src/ops/index.ts";
import { adamw } from "../../src/optim/adamw.ts";
import { plan } from "../../src/program/plan.ts";
import { print } from "../../src/program/print.ts";
import { type Program, Trace } from "../../src/program/program.ts";
import { sizeOf, type Value } from "../../src/program/value.ts";
import { recipes } from "../../src/recipes/index.ts";
import { stepPrograms } from "../../src/train/programs.ts";

const config = (layers: number): BertConfig => ({
  ...{ model_type: "bert", vocab_size: 50, hidden_size: 24, num_hidden_layers: layers, num_attention_heads: 2 },
  ...{ intermediate_size: 48, hidden_act: "gelu", hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1 },
  ...{ classifier_dropout: null, max_position_embeddings: 40, type_vocab_size: 2, initializer_range: 0.02 },
  ...{ layer_norm_eps: 1e-12, pad_token_id: 0, position_embedding_type: "absolute", problem_type: null },
  ...labelMaps(["a", "b"]),
});

const step = (shape = { sequences: 4, rows: 64, longest: 16 }) =>
  stepPrograms(
    {
      student: { owner: "student", config: config(2) },
      teachers: [{ owner: "teacher0", config: config(4) }],
      stage: recipes["pkd-skip"].stages.task,
      regression: false,
      optimizer: adamw,
    },
    shape,
  );

/** No slot holds two values whose lives overlap. */
function checkPlan(program: Program): void {
  const { slots, slotOf } = plan(program);
  const holder = new Map<number, Value>();
  const lastUse = new Map<Value, number>();
  program.instructions.forEach(({ inputs, output }, i) => {
    for (const value of [...inputs.flat(), output]) if (value) lastUse.set(value, i);
  });
  program.instructions.forEach(({ inputs, output }, i) => {
    for (const input of inputs.flat()) {
      const slot = input ? slotOf.get(input) : undefined;
      if (slot !== undefined) expect(holder.get(slot), `instruction ${i}`).toBe(input);
    }
    const slot = output ? slotOf.get(output) : undefined;
    if (!output || slot === undefined) return;
    expect(slots[slot]).toBeGreaterThanOrEqual(sizeOf(output) * 4);
    const before = holder.get(slot);
    if (before) expect(lastUse.get(before), `instruction ${i}`).toBeLessThan(i);
    holder.set(slot, output);
  });
}

describe("trace", () => {
  test("tracing the same step twice gives the same program", () => {
    const [a, b] = [step(), step()];
    expect(print(a.gradient)).toBe(print(b.gradient));
    expect(a.teachers.map(print)).toEqual(b.teachers.map(print));
    expect(print(step({ sequences: 4, rows: 128, longest: 16 }).gradient)).not.toBe(print(a.gradient));
  });

  test("a teacher computes what the recipe reads and stops there", () => {
    const [teacher] = step().teachers;
    const outputs = teacher.instructions.flatMap(({ output }) => (output?.storage === "input" ? [output.name] : []));
    expect(outputs.sort()).toEqual(["teacher0/out/cls.1", "teacher0/out/logits"]);
    expect(teacher.instructions.some(({ op }) => op.name === "dropout")).toBe(false);
  });

  test("nothing that varies from step to step is an attribute", () => {
    const varying = step()
      .gradient.values.filter(({ storage }) => storage === "input")
      .map(({ name }) => name);
    for (const name of ["recipe/temperature", "recipe/weight/soft", "recipe/weight/patience", "dropout"])
      expect(varying).toContain(name);
  });

  test("a shape that does not fit is refused with the op, the input and both shapes", () => {
    const trace = new Trace();
    const x = trace.input("x", [4, 3]);
    expect(() => linear(x, trace.state("w", [5, 2]))).toThrow(
      /matmul: the inner dimensions differ.*\[4, 3\].*\[2, 5\]/,
    );
    expect(() => add(x, trace.input("y", [4, 4]))).toThrow(/binary: input b must be \[4,3 or 1\] but is \[4,4\]/);
    expect(() => trace.input("x", [4, 4])).toThrow(/x: .*already input f32 \[4,3\]/);
  });

  test("a loss that reaches no parameter is refused", () => {
    const trace = new Trace();
    const x = trace.input("x", [1]);
    expect(() => gradient(mul(x, x), new Map([[trace.state("w", [1]), trace.state("g", [1])]]))).toThrow(
      /does not depend/,
    );
  });
});

describe("plan", () => {
  test("of a whole training step keeps living values apart", () => {
    const { teachers, gradient: program } = step();
    for (const each of [...teachers, program]) checkPlan(each);
  });

  test("keeps living values apart in any program", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(), fc.boolean()), { minLength: 1, maxLength: 40 }), (steps) => {
        const trace = new Trace();
        const values: Value[] = [trace.input("x", [8]), trace.input("y", [8])];
        for (const [a, b, product] of steps) {
          const [left, right] = [values[a % values.length], values[b % values.length]];
          values.push(product ? mul(left, right) : add(left, right));
        }
        keep(values[values.length - 1], "out");
        keep(values[Math.floor(values.length / 2)], "middle");
        checkPlan(trace.finish("any"));
      }),
    );
  });
});
