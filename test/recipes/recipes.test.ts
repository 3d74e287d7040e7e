// Recipes against losses and gradients that PyTorch computed from the papers' formulas (test/fixtures/losses.py).

import { describe, expect, test } from "vitest";
import { batchValues, type Features } from "../../src/models/features.ts";
import { add, gradient, keep, mul } from "../../src/ops/index.ts";
import { Trace } from "../../src/program/program.ts";
import type { Value } from "../../src/program/value.ts";
import { withChoices } from "../../src/recipes/choices.ts";
import { recipes } from "../../src/recipes/index.ts";
import { layerPairs } from "../../src/recipes/maps.ts";
import { termWeights, traceTerms } from "../../src/recipes/terms.ts";
import { devices } from "../executors/each.ts";
import { fixtureJson } from "../fixtures/read.ts";
import { distance } from "../ops/case.ts";

const { cases, layerMaps } = fixtureJson("losses.json");
const flat = (x: unknown): Float64Array => Float64Array.from([x].flat(3) as number[]);

for (const device of devices) {
  const tolerance = device.name === "reference" ? 1e-9 : 1e-5;

  describe.skipIf(device.missing)(`kd and hard on ${device.name}`, () => {
    for (const c of cases.filter(({ kind }: { kind: string }) => kind !== "patience"))
      test(`${c.kind}: ${c.name}`, async () => {
        const regression = c.kind === "regression";
        const classes = regression ? 1 : c.student[0].length;
        const B = c.student.length;
        const T = c.temperature ?? 1;
        const labelled = c.labels.filter((label: number | null) => label !== null).length;

        const trace = new Trace();
        const batch = batchValues(trace, { sequences: B, rows: 64, longest: 16 });
        const logits = trace.state("logits", [B, classes]);
        const teachers = c.teachers.map((_: unknown, i: number) => ({ logits: trace.input(`t${i}`, [B, classes]) }));
        const temperature = trace.input("T", [1]);
        const stage = recipes[teachers.length > 0 && c.alpha > 0 ? "kd" : "hard"].stages.task;
        const terms = traceTerms(stage, {
          ...{ teachers, student: { logits } as Features, batch, regression, temperature },
          project: (_, x) => x,
        });
        const weights = termWeights(stage, { temperature: T, alpha: c.alpha, beta: 0 }, regression);
        const loss = Object.entries(terms)
          .map(([name, term]) => mul(term, trace.constant([weights[name]])))
          .reduce(add);
        const target = trace.state("g", logits.shape);
        gradient(loss, new Map([[logits, target]]));
        const value = keep(loss, "loss");

        const executor = await device.make();
        const loaded = executor.load(trace.finish("loss"));
        executor.write(logits, flat(c.student));
        for (const [i, t] of teachers.entries()) executor.write(t.logits, flat(c.teachers[i]));
        executor.write(temperature, Float64Array.of(T));
        executor.write(
          batch.labels,
          Uint32Array.from(c.labels, (l) => (regression ? 0 : ((l as number | null) ?? 0xffffffff))),
        );
        executor.write(
          batch.scores,
          Float64Array.from(c.labels, (l) => (l as number | null) ?? 0),
        );
        executor.write(
          batch.labelWeight,
          Float64Array.from(c.labels, (l) => (l === null ? 0 : 1 / labelled)),
        );
        executor.write(batch.rowWeight, new Float64Array(B).fill(1 / B));
        executor.run(loaded);
        expect(distance(await executor.read(value), [c.value])).toBeLessThanOrEqual(tolerance);
        expect(distance(await executor.read(target), flat(c.gradient))).toBeLessThanOrEqual(tolerance);
        executor.dispose();
      });
  });

  describe.skipIf(device.missing)(`patience on ${device.name}`, () => {
    for (const c of cases.filter(({ kind }: { kind: string }) => kind === "patience"))
      test(c.name, async () => {
        const [B, layers, D] = [c.student.length, c.student[0].length, c.student[0][0].length];
        const layer = (x: number[][][], i: number) => flat(x.map((row) => row[i]));
        const trace = new Trace();
        const batch = batchValues(trace, { sequences: B, rows: 64, longest: 16 });
        const logits = trace.state("logits", [B, 2]);
        // The last layer of both takes no part in the term.
        const unread = trace.input("unread", [B, D]);
        const students = Array.from({ length: layers }, (_, i) => trace.state(`s${i}`, [B, D]));
        const teacherRows = Array.from({ length: layers }, (_, i) => trace.input(`t${i}`, [B, D]));
        const recipe = c.normalize
          ? recipes["pkd-skip"]
          : withChoices(recipes["pkd-skip"], { normalizePatience: false });
        const { patience } = traceTerms(recipe.stages.task, {
          teachers: [{ logits: trace.input("z", [B, 2]), cls: [...teacherRows, unread] } as unknown as Features],
          student: { logits, cls: [...students, unread] } as unknown as Features,
          ...{ batch, regression: false, temperature: trace.input("T", [1]), project: (_, x) => x },
        });
        const targets = students.map((s: Value, i: number) => trace.state(`g${i}`, s.shape));
        gradient(patience, new Map(students.map((s: Value, i: number) => [s, targets[i]])));
        const value = keep(patience, "loss");
        const executor = await device.make();
        const loaded = executor.load(trace.finish("patience"));
        for (let i = 0; i < layers; i++) {
          executor.write(students[i], layer(c.student, i));
          executor.write(teacherRows[i], layer(c.teacher, i));
        }
        executor.write(batch.rowWeight, new Float64Array(B).fill(1 / B));
        executor.run(loaded);
        expect(distance(await executor.read(value), [c.value])).toBeLessThanOrEqual(tolerance);
        for (let i = 0; i < layers; i++)
          expect(distance(await executor.read(targets[i]), layer(c.gradient, i))).toBeLessThanOrEqual(tolerance);
        executor.dispose();
      });
  });
}

describe("layer maps of BERT-PKD", () => {
  for (const { teacherLayers, studentLayers, skip, last } of layerMaps)
    test(`${teacherLayers} → ${studentLayers}`, () => {
      for (const [map, expected] of [
        ["skip", skip],
        ["last", last],
      ] as const) {
        const pairs = expected.map((layer: number, i: number) => [i + 1, layer]);
        expect(layerPairs(map, teacherLayers, studentLayers)).toEqual(pairs);
      }
    });
});
