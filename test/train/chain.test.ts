// Teacher assistants: one command makes what several by hand would, skips what lies finished, and refuses before it trains.

import { access, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DistillOptions, distill, finetune, recipes } from "../../src/index.ts";
import { makeTiny, type Tiny } from "../cli/tiny.ts";

let tiny: Tiny;
const path = (name: string) => join(tiny.folder, name);
const options = (more: Partial<DistillOptions> = {}): DistillOptions => ({
  ...{ teacher: path("teacher"), student: "bert:1x8x2", train: path("train.tsv"), eval: path("dev.tsv"), recipe: "kd" },
  ...{ device: "wasm", threads: 1, batchSize: 16, maxSteps: 6, learningRate: 1e-3, seed: 3 },
  ...more,
});
const there = (name: string) =>
  access(path(name)).then(
    () => true,
    () => false,
  );
const weightsOf = (name: string) => readFile(join(path(name), "model.safetensors"));

beforeAll(async () => {
  tiny = await makeTiny();
  await finetune({
    ...{ model: path("base"), train: path("train.tsv"), out: path("teacher"), device: "wasm", threads: 1, maxSteps: 5 },
  }).result;
});
afterAll(() => tiny.remove());

describe("a chain", () => {
  beforeAll(async () => {
    const assistant = ["bert:2x16x2", "bert:2x8x2"];
    const { judged, folder } = await distill(options({ assistant, out: path("student/") })).result;
    expect(judged.map(({ role }) => role)).toEqual(["teacher", "assistant 1", "assistant 2", "student"]);
    expect(judged.every(({ metrics }) => metrics?.accuracy !== undefined)).toBe(true);
    expect(folder).toMatch(/student\/?$/);
  });

  test("leaves the bytes of its runs by hand", async () => {
    await distill(options({ student: "bert:2x16x2", out: path("first") })).result;
    await distill(options({ teacher: path("first"), student: "bert:2x8x2", out: path("second") })).result;
    await distill(options({ teacher: path("second"), out: path("third") })).result;
    for (const [link, hand] of [
      ["student-assistant-1", "first"],
      ["student-assistant-2", "second"],
      ["student", "third"],
    ])
      expect((await weightsOf(link)).equals(await weightsOf(hand)), link).toBe(true);
    expect((await weightsOf("student")).equals(await weightsOf("second"))).toBe(false);
  });

  test("goes on behind what lies finished", async () => {
    const before = await weightsOf("student");
    await rm(path("student"), { recursive: true });
    await rm(path("student-assistant-2"), { recursive: true });
    const run = distill(options({ assistant: ["bert:2x16x2", "bert:2x8x2"], out: path("student") }));
    const stages = new Set<string>();
    for await (const event of run) if (event.type === "step") stages.add(event.stage ?? "student");
    expect([...stages]).toEqual(["assistant 2", "student"]);
    const { notes, judged } = await run.result;
    expect(notes[0]).toMatch(/^assistant 1 lies finished in .*student-assistant-1: not trained again$/);
    expect(judged.map(({ role }) => role)).toEqual(["assistant 1", "assistant 2", "student"]);
    expect((await weightsOf("student")).equals(before)).toBe(true);
  });

  test.each([{ seed: 4 }, { maxSteps: 7 }, { recipe: "hard" }, { train: "dev.tsv" }])(
    "is not mistaken for one of %j",
    async (other) => {
      const train = "train" in other ? { train: path("dev.tsv") } : {};
      const more = { assistant: ["bert:2x16x2", "bert:2x8x2"], out: path("student"), ...other, ...train };
      await rm(path("student"), { recursive: true, force: true });
      await expect(distill(options(more)).result).rejects.toThrow(
        /student-assistant-1: this folder exists already and is not the assistant of this run; name another --out/,
      );
      expect(await there("student")).toBe(false);
    },
  );

  test("that was interrupted in an assistant says where that is, and trains it again", async () => {
    const stop = new AbortController();
    const more = { assistant: "bert:2x16x2", out: path("again"), loggingSteps: 1 };
    const run = distill(options({ ...more, signal: stop.signal }));
    for await (const event of run) if (event.type === "step" && event.step === 2) stop.abort();
    const { complete, folder } = await run.result;
    expect([complete, folder]).toEqual([false, path("again-assistant-1")]);
    expect(await there("again")).toBe(false);
    const { complete: whole } = await distill(options(more)).result;
    expect(whole).toBe(true);
    expect((await weightsOf("again-assistant-1")).equals(await weightsOf("first"))).toBe(true);
  });

  test("is checked whole before it trains", async () => {
    const more = { assistant: ["bert:2x16x2", "bert:2x9x2"], out: path("never") };
    await expect(distill(options(more)).result).rejects.toThrow(/2 heads do not divide a width of 9/);
    expect(await there("never-assistant-1")).toBe(false);
  });

  test("keeps its assistants in memory where the student stays there", async () => {
    const { model } = await distill(options({ assistant: "bert:2x16x2" })).result;
    expect(model.weights.get("classifier.weight")?.shape).toEqual([2, 8]);
    expect(await there("undefined-assistant-1")).toBe(false);
  });
});

describe("MiniLM's rule", () => {
  test("all layers of the teacher, the width of the student", async () => {
    const { judged } = await distill(options({ assistant: "auto" })).result;
    expect(judged.map(({ role, name }) => [role, name])).toEqual([
      ["teacher", path("teacher")],
      ["assistant 1", "bert:2x8"],
      ["student", "bert:1x8x2"],
    ]);
  });

  test("is the recipe `assistant`", () => {
    expect(recipes.assistant.assistants).toEqual(["auto"]);
    expect(recipes.assistant.stages).toBe(recipes.minilm.stages);
  });

  test.each(["bert:2x8x2", "bert:1x32x2"])("makes none for %s, and says so", async (student) => {
    const { judged, notes } = await distill(options({ student, assistant: "auto" })).result;
    expect(judged).toHaveLength(2);
    expect(notes[0]).toMatch(
      /^no assistant: MiniLM's rule is for students of at most half the teacher's layers and width/,
    );
  });
});
