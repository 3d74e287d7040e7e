// The losses of a masked-LM head against PyTorch (test/fixtures/vocabulary.py), in one block of rows and in several.

import { describe, expect, test } from "vitest";
import { vocabularyLoss } from "../../src/models/vocabulary.ts";
import { add, gather, gradient, keep, linear, mul, NONE } from "../../src/ops/index.ts";
import { plan } from "../../src/program/plan.ts";
import { Trace } from "../../src/program/program.ts";
import { devices } from "../executors/each.ts";
import { fixtureJson } from "../fixtures/read.ts";
import { distance, opCase } from "../ops/case.ts";

const fixture = fixtureJson("vocabulary.json");
const { R, V, D, teacher: wide } = fixture.shape;
/** Bytes of so many rows: three arrays of V. */
const bytesOf = (rows: number) => rows * 3 * 4 * V;

for (const device of devices)
  describe.skipIf(device.missing)(`on ${device.name}`, () => {
    for (const rows of [R, 6, 3, 1])
      test(`value and gradients equal PyTorch's, ${rows} rows a block`, async () => {
        const trace = new Trace();
        const f32 = (name: string, ...shape: number[]) => trace.input(name, shape);
        const table = trace.state("table", [V, D]);
        const weight = trace.state("weight", [D, D]);
        const bias = trace.state("bias", [V]);
        const embedded = gather(
          { table, ids: trace.input("ids", [R], "u32"), order: trace.input("order", [R], "u32") },
          {},
        );
        const teacher = {
          rows: f32("teacherRows", R, wide),
          table: f32("teacherTable", V, wide),
          bias: f32("teacherBias", V),
        };
        const { hard, soft } = vocabularyLoss(
          { rows: linear(embedded, weight), table, bias },
          {
            hard: { labels: trace.input("labels", [R], "u32"), weight: f32("hardWeight", R) },
            soft: { teacher, temperature: f32("temperature", 1), weight: f32("softWeight", R) },
          },
          bytesOf(rows),
        );
        const [a, b] = [trace.constant([fixture.weights.hard]), trace.constant([fixture.weights.soft])];
        const total = add(mul(hard, a), mul(soft, b));
        const trained = { table, weight, bias };
        const targets = Object.entries(trained).map(([name, p]) => [p, trace.state(`d.${name}`, p.shape)] as const);
        gradient(total, new Map(targets));
        const terms = { hard: keep(hard, "hard"), soft: keep(soft, "soft"), value: keep(total, "value") };
        const program = trace.finish("vocabulary");
        const products = program.instructions.filter(({ op }) => op.name === "matmul").length;
        // Rows and gradients of W; logits of both, and gradients of rows and table.
        const blocks = Math.ceil(R / rows);
        expect(products).toBe(3 + 4 * blocks);

        const executor = await device.make();
        const loaded = executor.load(program);
        for (const { name, storage, dtype } of program.values)
          if ((storage === "input" || storage === "state") && dtype === "f32" && name in fixture) {
            const value = program.values.find((v) => v.name === name);
            if (value && !(name in terms)) executor.write(value, Float64Array.from([fixture[name]].flat()));
          }
        const words = (name: string, data: number[]) =>
          executor.write({ name, shape: [R], dtype: "u32" }, Uint32Array.from(data));
        words("ids", fixture.ids);
        words(
          "labels",
          fixture.labels.map((label: number | null) => label ?? NONE),
        );
        const ids: number[] = fixture.ids;
        words(
          "order",
          ids.map((_, r) => r).sort((r, s) => ids[r] - ids[s] || r - s),
        );
        executor.run(loaded);
        const tolerance = device.name === "reference" ? 1e-9 : 1e-5;
        for (const [name, value] of Object.entries(terms))
          expect(distance(await executor.read(value), [fixture[name]]), name).toBeLessThanOrEqual(tolerance);
        for (const [i, name] of Object.keys(trained).entries())
          expect(distance(await executor.read(targets[i][1]), fixture.gradients[name]), name).toBeLessThanOrEqual(
            tolerance,
          );
        executor.dispose();
      });
  });

describe("finite differences", () => {
  const given = {
    rows: { shape: [7, 4] },
    table: { shape: [9, 4] },
    bias: { shape: [9] },
    other: { shape: [7, 3], fixed: true },
    wide: { shape: [9, 3], fixed: true },
    offset: { shape: [9], fixed: true },
    labels: { shape: [7], data: [3, NONE, 8, 0, 1, 1, NONE], dtype: "u32" as const },
    weight: { shape: [7], data: [0.2, 0.2, 0.3, 0, 0.1, 0.5, 0.2], fixed: true },
    temperature: { shape: [1], data: [2], fixed: true },
  };
  for (const rows of [7, 3])
    opCase(`${rows} rows a block`, given, ({ labels, weight, temperature, other, wide, offset, ...student }) => {
      const decoder = { rows: student.rows, table: student.table, bias: student.bias };
      const teacher = { rows: other, table: wide, bias: offset };
      const targets = { hard: { labels, weight }, soft: { teacher, temperature, weight } };
      const { hard, soft } = vocabularyLoss(decoder, targets, rows * 3 * 4 * 9);
      return add(hard, mul(soft, soft.trace.constant([1.7])));
    });
  const narrow = { ...given, table: { shape: [9, 3] }, beside: { shape: [1, 9] } };
  opCase("a table beside a narrow one", narrow, ({ labels, weight, temperature, other, wide, offset, ...student }) => {
    const { rows, table, bias, beside } = student;
    const teacher = { rows: other, table: wide, bias: offset };
    const targets = { hard: { labels, weight }, soft: { teacher, temperature, weight } };
    const { hard, soft } = vocabularyLoss({ rows, table, bias, beside }, targets, 3 * 4 * 4 * 9);
    return add(hard, mul(soft, soft.trace.constant([1.7])));
  });
  opCase("labels alone", given, ({ labels, weight, rows, table, bias }) => {
    return vocabularyLoss({ rows, table, bias }, { hard: { labels, weight } }, 2 * 2 * 4 * 9).hard;
  });
});

test.each([
  ["of the rows' width", 32],
  ["narrower, with another beside it", 24],
])("a thousand rows of BERT's vocabulary and a table %s take 64 MiB; its gradient goes where it belongs", (_, E) => {
  const [R, V, D] = [1024, 30522, 32];
  const trace = new Trace();
  const student = {
    rows: trace.input("rows", [R, D]),
    table: trace.state("table", [V, E]),
    bias: trace.state("bias", [V]),
    ...(E < D && { beside: trace.state("beside", [D - E, V]) }),
  };
  const teacher = {
    rows: trace.input("other", [R, D]),
    table: trace.input("wide", [V, E]),
    bias: trace.input("offset", [V]),
    ...(E < D && { beside: trace.input("besideWide", [D - E, V]) }),
  };
  const weight = trace.input("weight", [R]);
  const { hard, soft } = vocabularyLoss(student, {
    hard: { labels: trace.input("labels", [R], "u32"), weight },
    soft: { teacher, temperature: trace.input("T", [1]), weight },
  });
  const { rows: __, ...trained } = student;
  const targets = Object.values(trained).map((p) => [p, trace.state(`d.${p.name}`, p.shape)] as const);
  gradient(add(hard, soft), new Map(targets));
  const program = trace.finish("vocabulary");
  const slots = plan(program).slots.reduce((sum, bytes) => sum + bytes, 0);
  // Beside logits: a block of rows and of teacher rows.
  expect(slots).toBeLessThanOrEqual(64 * 2 ** 20 + 2 * 4 * R * D);
  expect(slots).toBeGreaterThan(48 * 2 ** 20);
  expect(program.values.some(({ shape, storage }) => storage === "temporary" && shape[0] === V)).toBe(false);
});
