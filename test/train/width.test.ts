// Slices of a wider model: nothing is lost where nothing is cut, dead units go first, and what remains keeps its numbers.

import { describe, expect, test } from "vitest";
import { distilbert } from "../../src/models/distilbert.ts";
import type { Family } from "../../src/models/family.ts";
import { familyOf, type ModelConfig } from "../../src/models/index.ts";
import { freshWeights, type Weights } from "../../src/train/model.ts";
import { parametersOf } from "../../src/train/programs.ts";
import { cutStudent, parseStudent } from "../../src/train/student.ts";
import { Predictor, placeWeights } from "../../src/train/trainer.ts";
import { wasm } from "../executors/each.ts";
import { bytesOf, tinyBatches, tinyConfig } from "./tiny.ts";

type Body = { config: ModelConfig; weights: Weights };

/** 4 heads of 8, 64 inner units. */
const wide = { ...tinyConfig(2, 32), num_attention_heads: 4 };
const narrow: ModelConfig = distilbert.sized({ layers: 2, width: 32, heads: 4, inner: 64 }, wide);
const made = (config: ModelConfig): Body => ({ config, weights: freshWeights(config, 3) });
const cut = (text: string, source: Body) => cutStudent(parseStudent(text) as Parameters<typeof cutStudent>[0], source);
const tensor = ({ weights }: Body, path: string) => weights.get(path) as { shape: number[]; data: Float32Array };

describe.each([
  ["bert", wide as ModelConfig],
  ["distilbert", narrow],
])("%s", (_, config) => {
  test("a slice of everything is everything", () => {
    const source = made(config);
    expect(bytesOf(cut("slice:2x32x4x64", source).weights)).toBe(bytesOf(source.weights));
  });

  test("has the parameters of its configuration, heads and inner width in proportion unless told", () => {
    const { config: found, weights } = cut("slice:1x16", made(config));
    const family: Family<ModelConfig> = familyOf(found);
    expect(family.size(found)).toEqual({ layers: 1, width: 16, heads: 2, inner: 32 });
    expect(new Map([...weights].map(([path, { shape }]) => [path, shape]))).toEqual(parametersOf(found));
  });

  test("a masked-LM head is sliced with the states that it reads", () => {
    const source = made({ ...config, tasks: ["maskedLm"] });
    const { config: found, weights } = cut("slice:1x16", source);
    expect(new Map([...weights].map(([path, { shape }]) => [path, shape]))).toEqual(parametersOf(found));
    const bias = [...weights.keys()].find((path) => /^(cls\.predictions|vocab_projector)\.bias$/.test(path)) as string;
    expect(weights.get(bias)).toEqual(source.weights.get(bias));
  });
});

describe("what goes", () => {
  const fill = (body: Body, path: string, numbers: (row: number, column: number) => number | undefined) => {
    const { shape, data } = tensor(body, path);
    const columns = shape[1] ?? 1;
    data.forEach((old, i) => {
      data[i] = numbers(Math.floor(i / columns), i % columns) ?? old;
    });
  };
  const at = (rest: string) => `bert.encoder.layer.1.${rest}`;

  test("inner units that nothing reads: the same logits", async () => {
    const source = made({ ...wide, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 });
    const dead = (unit: number) => unit % 4 === 1;
    for (const layer of [0, 1])
      fill(source, `bert.encoder.layer.${layer}.output.dense.weight`, (_, unit) => (dead(unit) ? 0 : undefined));
    const [batch] = tinyBatches(1, 4, 5);
    const logits = async ({ config, weights }: Body) => {
      const executor = await wasm(1).make();
      placeWeights(executor, "m", weights);
      const found = await new Predictor(executor, { owner: "m", config }).logits(batch);
      executor.dispose();
      return [...found];
    };
    const [whole, slice] = [await logits(source), await logits(cut("slice:2x32x4x48", source))];
    for (const [i, x] of slice.entries()) expect(Math.abs(x - whole[i])).toBeLessThan(1e-5);
  });

  test("the head whose output counts least, each layer its own", () => {
    const source = made(wide);
    fill(source, at("attention.output.dense.weight"), (_, column) => (column >= 8 && column < 16 ? 1e-3 : undefined));
    const found = cut("slice:2x24", source);
    const [before, after] = [source, found].map((body) => tensor(body, at("attention.self.value.bias")));
    before.data.forEach((_, i) => {
      before.data[i] = i;
    });
    const again = tensor(cut("slice:2x24", source), at("attention.self.value.bias"));
    expect(after.shape).toEqual([24]);
    expect([...again.data]).toEqual([...before.data].filter((_, i) => i < 8 || i >= 16));
  });

  test("places of small gain, the same everywhere", () => {
    const source = made(wide);
    const small = (place: number) => place % 2 === 0;
    for (const [path, { shape }] of source.weights)
      if (path.endsWith("LayerNorm.weight") && path.startsWith("bert.encoder") && shape.length === 1)
        fill(source, path, (place) => (small(place) ? 1e-2 : 1));
    const words = "bert.embeddings.word_embeddings.weight";
    fill(source, words, (_, place) => place);
    const { data, shape } = tensor(cut("slice:2x16", source), words);
    expect(shape).toEqual([50, 16]);
    expect([...data.subarray(0, 16)]).toEqual(Array.from({ length: 32 }, (_, i) => i).filter((i) => !small(i)));
  });
});

test.each([
  ["slice:2x20", /heads keep their width, 8: 20 must be a multiple of it, and 2\.5 the heads/],
  ["slice:2x16x4", /heads keep their width, 8: 16 must be a multiple of it, and 2 the heads/],
  ["slice:2x64", /width 64 is not between 1 and the source's 32/],
  ["slice:2x32x4x65", /inner 65 is not between 1 and the source's 64/],
  ["slice:3x16", /layer 2 does not exist/],
])("%s is refused", (text, message) => {
  expect(() => cut(text, made(wide))).toThrow(message);
});
