// TinyBERT's copies of texts, without a model: which words may be replaced, which are likely or near, what is drawn.

import { describe, expect, test } from "vitest";
import {
  type Candidates,
  largest,
  lengthsOf,
  maskSlot,
  nearest,
  type Slot,
  Substituter,
  slotsOf,
  type Vectors,
  wordTokens,
} from "../../src/data/augmentation/substitutes.ts";
import { NONE } from "../../src/data/batch.ts";
import { type Example, Examples } from "../../src/data/examples.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { Random } from "../../src/random.ts";

const VOCAB = [
  ...[
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "[unused0]",
    "the",
    "film",
    "good",
    "great",
    "quick",
    "##ly",
    "##s",
  ],
  ...[",", "'", "s", "3", "d", "don", "t", "movie"],
];
const tokenizer = loadTokenizer(new Map([["vocab.txt", VOCAB.map((token) => `${token}\n`).join("")]]));
const id = (token: string) => VOCAB.indexOf(token);

describe("slots", () => {
  test("words of letters that are no stop words, with their pieces and where these begin", () => {
    const text = "The Good film's films quickly, 3d don't xylo";
    const { ids, segments, slots } = slotsOf(text, tokenizer, 64);
    expect(ids).toEqual(tokenizer.encode(text, text).ids);
    expect(slots.map(({ word, start, pieces }) => [text.slice(start, start + word.length), pieces])).toEqual([
      ["Good", [id("good")]],
      ["film", [id("film")]],
      ["films", [id("film"), id("##s")]],
      ["quickly", [id("quick"), id("##ly")]],
      ["xylo", [id("[UNK]")]],
    ]);
    for (const { pieces, place } of slots) expect(ids.slice(place, place + pieces.length)).toEqual(pieces);

    const masked = maskSlot({ ids, segments, slots }, slots[1], id("[MASK]"));
    const other = Array.from(masked.ids).flatMap((own, i) => (own === ids[i] ? [] : [i]));
    expect(other).toEqual([slots[1].place]);
    expect(masked.ids[slots[1].place]).toBe(id("[MASK]"));
    expect(Array.from(masked.targets ?? []).flatMap((own, i) => (own === NONE ? [] : [i]))).toEqual(other);
    expect(segments[slots[1].place]).toBe(0);
  });

  test("a word that was cut off, or whose tokens stand elsewhere, is left alone", () => {
    // [CLS] good film great [SEP] good film great [SEP] has 9 tokens; 7 leave two of each text.
    expect(slotsOf("good film great", tokenizer, 9).slots.map(({ word }) => word)).toEqual(["good", "film", "great"]);
    expect(slotsOf("good film great", tokenizer, 7).slots.map(({ word }) => word)).toEqual(["good", "film"]);
    // MASK is no word of its own, and what follows keeps its place.
    const { slots, ids } = slotsOf("good [MASK] film", tokenizer, 64);
    expect(slots.filter(({ place }) => ids[place] === id("film")).map(({ word }) => word)).toEqual([]);
    expect(slots.map(({ word }) => word)).toEqual(["good"]);
  });
});

describe("candidates", () => {
  test("words of a vocabulary: neither special tokens nor placeholders nor the inside of words", () => {
    const words = wordTokens(tokenizer);
    expect(words.filter((word) => word !== undefined)).toEqual(VOCAB.slice(6).filter((word) => !word.startsWith("##")));
    expect(words[id("film")]).toBe("film");
  });

  test("the K largest, in their order, the first of equal ones, gaps and one word left out", () => {
    const words = ["a", undefined, "b", "c", "d", "e"];
    const values = [2, 9, 5, 2, 7, 5];
    expect(largest(values, words, 3)).toEqual(["d", "b", "e"]);
    expect(largest(values, words, 4)).toEqual(["d", "b", "e", "a"]);
    expect(largest(values, words, 3, "b")).toEqual(["d", "e", "a"]);
    expect(largest(values, words, 9)).toEqual(["d", "b", "e", "a", "c"]);
    const random = new Random(1, "largest");
    const many = Array.from({ length: 500 }, () => random.below(60));
    const order = many.map((_, i) => i).sort((a, b) => many[b] - many[a] || a - b);
    expect(
      largest(
        many,
        many.map((_, i) => `${i}`),
        40,
      ),
    ).toEqual(order.slice(0, 40).map(String));
  });

  test("nearest by cosine, whatever the length; the word itself is none", () => {
    // Angles from [1, 0]: film 0, movie 10°, good 30°, great 80°; a zero vector is near nothing.
    const words = ["film", "movie", undefined, "good", "great", "zero"];
    const table = Float32Array.of(1, 0, 9.848, 1.736, 1, 0, 0.0866, 0.05, 1.736, 9.848, 0, 0);
    const vectors: Vectors = { words, table, lengths: lengthsOf(table, 2), rowsOf: ({ pieces }) => pieces };
    const slot = (word: string, pieces: number[]): Slot => ({ start: 0, word, pieces, place: 1 });
    expect(nearest(vectors, slot("Film", [0]), 2)).toEqual(["movie", "good"]);
    expect(nearest(vectors, slot("films", [0, 2]), 4)).toEqual(["film", "movie", "good", "great"]);
    // The sum of [1, 0] and [1.736, 9.848] points 74° up.
    expect(nearest(vectors, slot("filmgreat", [0, 4]), 2)).toEqual(["great", "good"]);
    expect(nearest(vectors, slot("unknown", []), 2)).toEqual([]);
  });
});

describe("copies", () => {
  const text = "A Good, quick film";
  const all: Candidates[] = [
    { start: 2, word: "Good", candidates: ["great", "good", "bad"] },
    { start: 8, word: "quick", candidates: [] },
    { start: 14, word: "film", candidates: ["movie", "story"] },
  ];
  const options = { pReplace: 0.4, iterations: 20, seed: 7 };
  const make = (examples: readonly Example[], more: Partial<typeof options> = {}) => {
    const substituter = new Substituter({ ...options, ...more }, Examples.of(examples));
    return examples.flatMap((example) => substituter.next(example, (of) => (of === text ? all : [])));
  };

  test("by hand: the draws of the stream, one after the other; the rest of a text stays as it was written", () => {
    const random = new Random(7, "augmentation/0");
    const expected: string[] = [];
    for (let i = 0; i < 20; i++) {
      const first = random.uniform() < 0.4 ? ["great", "Good", "bad"][random.below(3)] : "Good";
      const second = random.uniform() < 0.4 ? ["movie", "story"][random.below(2)] : "film";
      const copy = `A ${first}, quick ${second}`;
      if (copy !== text && !expected.includes(copy)) expected.push(copy);
    }
    const made = make([{ text, label: 1 }]);
    expect(made).toEqual(expected.map((copy) => ({ text: copy })));
    expect(made.length).toBeGreaterThan(2);
  });

  test("nothing is made twice or repeats a given text; the same seed makes the same", () => {
    const rows = [text, "A great, quick film", text].map((own) => ({ text: own }));
    const made = make(rows, { iterations: 300, pReplace: 0.5 }).map((row) => row.text);
    // 3 × 3 texts, of which two are given.
    expect(made.length).toBe(7);
    expect(new Set([...made, text, "A great, quick film"]).size).toBe(9);
    expect(make(rows).map((row) => row.text)).toEqual(make(rows).map((row) => row.text));
    expect(make(rows, { seed: 8 })).not.toEqual(make(rows));
    expect(make(rows, { pReplace: 0 })).toEqual([]);
    expect(make(rows, { iterations: 0 })).toEqual([]);
  });

  test("a word is replaced with the probability p_t", () => {
    const many = Array.from({ length: 2000 }, (_, i) => ({ text: `good ${i}` }));
    const substituter = new Substituter({ ...options, iterations: 1 }, Examples.of(many));
    const made = many.flatMap((row) => substituter.next(row, () => [{ start: 0, word: "good", candidates: ["bad"] }]));
    // 800 ± 22.
    expect(Math.abs(made.length - 800)).toBeLessThan(90);
  });

  test("of a pair one text changes at a time, both in turn", () => {
    const made = make([{ text, pair: text }], { iterations: 300, pReplace: 0.5 });
    const [first, second] = [made.filter((row) => row.pair === text), made.filter((row) => row.text === text)];
    expect(first.length + second.length).toBe(made.length);
    expect(first.length).toBe(8);
    expect(second.length).toBe(8);
  });
});
