// Ten thousand mutated inputs over every parser, and all that is kept in the corpus. bench/fuzz.ts takes a million, with clock and memory.

import { describe, expect, test } from "vitest";
import { corpus } from "./corpus.ts";
import { fuzz, judge } from "./fuzz.ts";
import { makeTargets } from "./targets.ts";

const INPUTS = 10_000;
const targets = makeTargets();

test("every target has inputs to begin with, and one of them is taken", async () => {
  expect(Object.keys(corpus).sort()).toEqual(Object.keys(targets).sort());
  for (const [name, inputs] of Object.entries(corpus)) {
    const codes = await Promise.all(
      Object.values(inputs).map(async (input) => (await judge(targets[name], input)).code),
    );
    // Beside the one that is sealed a checkpoint is judged as it is, with a manifest of something else.
    expect(codes, name).toContain(name === "checkpoint" ? "CHECKPOINT_DAMAGED" : "accepted");
  }
});

describe("what is kept", () => {
  const kept = Object.entries(corpus).flatMap(([name, inputs]) =>
    Object.entries(inputs).map(([what, input]) => ({ name, what, input })),
  );
  test.each(kept)("$name: $what", async ({ name, input }) => {
    expect((await judge(targets[name], input)).wrong).toBeUndefined();
  });
});

test(`of ${INPUTS} mutated inputs each is taken, or refused with a typed error [F1]`, async () => {
  const codes = new Set<string>();
  for (const round of fuzz(1, INPUTS)) {
    const { code, wrong } = await round.judge();
    codes.add(code);
    expect(wrong, `${round.target}:${round.number}`).toBeUndefined();
  }
  // Mutations that no parser takes seriously would find nothing: they reach many of its refusals.
  expect(codes.size).toBeGreaterThan(30);
}, 120_000);

test("a seed makes the same inputs again", () => {
  const bytes = (seed: number) => [...fuzz(seed, 100)].map(({ input }) => [...input.values()].map(String));
  expect(bytes(5)).toEqual(bytes(5));
  expect(bytes(5)).not.toEqual(bytes(6));
});

test("an untyped error would be noticed, and so would a flood of words", async () => {
  const throws = (error: Error) => judge(async () => Promise.reject(error), new Map());
  expect((await throws(new RangeError("Invalid array length"))).wrong).toContain("Invalid array length");
  const { InputError } = await import("../../src/errors.ts");
  expect((await throws(new InputError("INVALID_JSON", "x".repeat(20_000)))).wrong).toContain("20000 characters");
  expect((await throws(new InputError("INVALID_JSON", "x"))).wrong).toBeUndefined();
});
