import { describe, expect, test, vi } from "vitest";
import { tagExamples, tagWords } from "../../src/data/augmentation/tags.ts";
import {
  augmentWords as augment,
  MASK,
  type Tagged,
  type WordAugmentation,
  wordsOf,
} from "../../src/data/augmentation/words.ts";
import { readDataset } from "../../src/data/dataset.ts";
import { type Example, Examples } from "../../src/data/examples.ts";
import { Random } from "../../src/random.ts";

/** The paper's numbers. */
const options = { pMask: 0.1, pPos: 0.1, pNg: 0.25, iterations: 20, seed: 7 };
const none = { pMask: 0, pPos: 0, pNg: 0, iterations: 5, seed: 7 };
const example = (text: string, pair?: string): Example => ({ text, ...(pair === undefined ? {} : { pair }) });

const augmentWords = (rows: readonly Example[], given: WordAugmentation, tags?: readonly Tagged[]) =>
  augment(Examples.of(rows), given, tags);

/** Sentences of eight words that occur nowhere else, each word with one of two tags. */
const many = Array.from({ length: 400 }, (_, row) =>
  example(Array.from({ length: 8 }, (_, i) => `w${row}x${i}`).join(" ")),
);
const tagged: Tagged[] = many.map(() => [["N", "V", "N", "N", "V", "N", "N", "V"], []]);

test("by hand: the draws of the stream, one after the other, make this text", () => {
  // Uniform draws of the stream "augmentation/0" at seed 7: each word takes one, a replaced word one more for its place.
  const random = new Random(7, "augmentation/0");
  const words = ["the", "film", "is", "a", "quiet", "joy"];
  const tags = ["D", "N", "V", "D", "J", "N"];
  const byTag: Record<string, string[]> = { D: ["the", "a"], N: ["film", "joy"], V: ["is"], J: ["quiet"] };
  const expected: string[] = [];
  const seen = new Set([words.join(" ")]);
  for (let i = 0; i < 5; i++) {
    let kept = 0;
    const drawn = words.map((word, k) => {
      const u = random.uniform();
      if (u < 0.3) return "[MASK]";
      if (u < 0.6) return byTag[tags[k]][random.below(byTag[tags[k]].length)];
      kept++;
      return word;
    });
    if (kept === 0) continue;
    let text = drawn.join(" ");
    if (random.uniform() < 0.5) {
      const n = Math.min(6, 1 + random.below(5));
      const first = random.below(6 - n + 1);
      text = drawn.slice(first, first + n).join(" ");
    }
    if (!seen.has(text)) expected.push(text);
    seen.add(text);
  }
  const given = { pMask: 0.3, pPos: 0.3, pNg: 0.5, iterations: 5, seed: 7 };
  const made = augmentWords([example(words.join(" "))], given, [[tags, []]]);
  expect(made.map(({ text }) => text)).toEqual(expected);
  // Written down once and looked at: masks, words of their own class, n-grams that stand in the text.
  expect(made.map(({ text }) => text)).toMatchInlineSnapshot(`
    [
      "film [MASK]",
      "[MASK] film [MASK] a quiet joy",
      "[MASK] film [MASK] [MASK] quiet joy",
      "[MASK] film is a quiet",
      "is a [MASK]",
    ]
  `);
});

const count = (rows: readonly string[], row: string) => rows.filter((other) => other === row).length;

describe("what is drawn", () => {
  test("masks and replacements come as often as they should, and exclude each other", () => {
    const made = augmentWords(many, { ...options, pNg: 0, iterations: 10 }, tagged);
    let [masks, others, all] = [0, 0, 0];
    for (const { text } of made) {
      const words = wordsOf(text);
      expect(words.length).toBe(8);
      // The row that most words are of; the others were drawn.
      const rows = words.flatMap((word) => (word === MASK ? [] : [word.slice(0, word.indexOf("x"))]));
      const row = rows.sort((a, b) => count(rows, b) - count(rows, a))[0];
      for (const word of words) {
        all++;
        if (word === MASK) masks++;
        else if (!word.startsWith(`${row}x`)) others++;
      }
    }
    // 32,000 words or so: a standard deviation of 0.0017. Texts without a change repeat the original and are dropped
    // (0.8⁸ = 17 %), which raises both shares by 1/(1 − 0.17).
    expect(masks / all).toBeGreaterThan(0.1 / 0.832 - 0.006);
    expect(masks / all).toBeLessThan(0.1 / 0.832 + 0.006);
    expect(others / all).toBeGreaterThan(0.1 / 0.832 - 0.006);
    expect(others / all).toBeLessThan(0.1 / 0.832 + 0.006);
  });

  test("a word is replaced by one of its own part of speech, common words more often", () => {
    const texts = [example("cat sleeps"), example("dog sleeps"), example("dog runs"), example("dog eats")];
    const tags: Tagged[] = texts.map(() => [["N", "V"], []]);
    const made = augmentWords(texts, { ...none, pPos: 1, iterations: 200 }, tags);
    // p_pos = 1 leaves no word of its own, so nothing is made.
    expect(made).toEqual([]);
    const some = augmentWords(
      Array.from({ length: 300 }, (_, i) => example(`${i % 4 === 0 ? "cat" : "dog"} s${i}`)),
      { ...none, pPos: 0.5, iterations: 4 },
      Array.from({ length: 300 }, (_, i): Tagged => [["N", `own${i}`], []]),
    );
    const changed = some.filter(({ text }) => /^(cat|dog) s/.test(text));
    expect(changed.length).toBe(some.length);
    // Only a change to the other animal is a new text: a quarter of the dogs' draws give a cat, three quarters of the cats' a dog.
    const cats = some.filter(({ text }) => text.startsWith("cat")).length;
    expect(cats).toBeGreaterThan(0);
    expect(some.length).toBeGreaterThan(cats);
  });

  test("an n-gram keeps n from 1 to 5 neighbouring words and drops the others", () => {
    const made = augmentWords(many, { ...none, pNg: 1 });
    const counts = new Map<number, number>();
    for (const { text } of made) {
      const places = wordsOf(text).map((word) => Number(/x(\d+)$/.exec(word)?.[1]));
      places.forEach((place, i) => {
        if (i > 0) expect(place).toBe(places[i - 1] + 1);
      });
      counts.set(places.length, (counts.get(places.length) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).toEqual([1, 2, 3, 4, 5]);
    // 2,000 draws, less the repeats; a fifth each is 400 ± 18.
    for (const count of counts.values()) expect(Math.abs(count - 375)).toBeLessThan(80);
  });

  test("a quarter of the texts become n-grams", () => {
    const made = augmentWords(many, { ...none, pNg: 0.25, iterations: 1 });
    // What is not cut is the text itself again, and is dropped: 400 draws give 100 ± 9.
    expect(Math.abs(made.length - 100)).toBeLessThan(40);
  });

  test("without tags no word is replaced by another", () => {
    for (const { text } of augmentWords(many.slice(0, 50), options)) {
      const rows = new Set(wordsOf(text).flatMap((word) => (word === MASK ? [] : [word.slice(0, word.indexOf("x"))])));
      expect(rows.size).toBeLessThanOrEqual(1);
    }
  });

  test("nothing is made twice, nothing repeats a given text, no copy has a label", () => {
    const labelled = many.slice(0, 60).map((row) => ({ ...row, label: 1 }));
    const made = augmentWords(labelled, options, tagged);
    const texts = [...labelled, ...made].map(({ text }) => text);
    expect(new Set(texts).size).toBe(texts.length);
    expect(made.every((row) => !("label" in row))).toBe(true);
    expect(made.length).toBeGreaterThan(60 * 14);
    expect(made.length).toBeLessThan(60 * 20);
  });

  test("the same seed makes the same texts, another seed others; a row's copies do not depend on the rows after it", () => {
    const once = augmentWords(many.slice(0, 20), options);
    expect(augmentWords(many.slice(0, 20), options)).toEqual(once);
    expect(augmentWords(many.slice(0, 20), { ...options, seed: 8 })).not.toEqual(once);
    expect(augmentWords(many.slice(0, 30), options).slice(0, once.length)).toEqual(once);
  });

  test("of a pair one text changes two times in three, either one, else both", () => {
    const pairs = Array.from({ length: 300 }, (_, row) =>
      example(`a${row} b${row} c${row}`, `d${row} e${row} f${row}`),
    );
    expect(augmentWords(pairs, { ...none, pMask: 1 })).toEqual([]);
    const masked = augmentWords(pairs, { ...none, pMask: 0.5, iterations: 8 });
    const changed = masked.map(({ text, pair }) => [text.includes(MASK), (pair as string).includes(MASK)]);
    const both = changed.filter(([a, b]) => a && b).length;
    const first = changed.filter(([a, b]) => a && !b).length;
    const second = changed.filter(([a, b]) => !a && b).length;
    expect(both + first + second).toBe(masked.length);
    expect(both / masked.length).toBeGreaterThan(0.15);
    expect(Math.abs(first - second) / masked.length).toBeLessThan(0.1);
    expect(masked.every(({ pair }) => wordsOf(pair as string).length === 3)).toBe(true);
  });
});

describe("tags", () => {
  test("compromise gives one tag to each word between white space", async () => {
    const text = "it 's a charming and often affecting journey , don't you think ? 5 stars !";
    const [[tags, pair]] = await tagExamples(Examples.of([example(text)]), "file");
    expect(pair).toEqual([]);
    expect(wordsOf(text).map((word, i) => `${word}/${tags[i]}`)).toMatchInlineSnapshot(`
      [
        "it/Pronoun",
        "'s/PresentTense",
        "a/Determiner",
        "charming/Adjective",
        "and/Conjunction",
        "often/Adverb",
        "affecting/Gerund",
        "journey/Noun",
        ",/Punctuation",
        "don't/Infinitive",
        "you/Pronoun",
        "think/Infinitive",
        "?/Punctuation",
        "5/Value",
        "stars/Plural",
        "!/Punctuation",
      ]
    `);
  });

  test("tags stay in step with the words whatever a term covers", () => {
    const terms =
      (...texts: [string, string, string, string][]) =>
      () => ({
        termList: () => texts.map(([pre, text, post, tag]) => ({ pre, text, post, tags: new Set([tag]) })),
      });
    // A contraction of two terms, a dash alone, a term with punctuation around it.
    const nlp = terms(
      ["", "don't", " ", "Verb"],
      ["", "", "", "Negative"],
      ["-- ", "run", "", "Noun"],
      ["", "now", "!", "Adverb"],
    );
    expect(tagWords(nlp, "don't -- run/now!")).toEqual(["Verb", "Punctuation", "Noun"]);
  });

  test("without compromise and without a column it stops and says what to do", async () => {
    vi.doMock("compromise/two", () => {
      throw new Error("not installed");
    });
    const refused = tagExamples(Examples.of([example("a film")]), "train.tsv");
    await expect(refused).rejects.toMatchObject({ code: "NO_TAGGER", where: "train.tsv" });
    await expect(refused).rejects.toThrow("--no-pos");
    vi.doUnmock("compromise/two");
  });

  test("a column gives them, one for each word", async () => {
    const file = (text: string) => new TextEncoder().encode(text);
    const read = (text: string, more = {}) => readDataset(file(text), "f.tsv", { tagColumn: "pos", ...more });
    const { examples } = await read("sentence\tpos\tlabel\na good film\tD J N\t1\nbad\tJ\t0\n");
    expect(examples.map(({ tags }) => tags)).toEqual([
      [["D", "J", "N"], []],
      [["J"], []],
    ]);
    expect(await tagExamples(examples, "f.tsv")).toEqual(examples.map(({ tags }) => tags));
    await expect(read("sentence\tpos\na good film\tD J\n")).rejects.toThrow("2 tags for the 3 words");
    await expect(read("sentence1\tsentence2\tpos\na\tb\tN\n")).rejects.toThrow("--pair-tag-column");
    const pairs = await read("sentence1\tsentence2\tpos\tpos2\na\tb c\tN\tN V\n", { pairTagColumn: "pos2" });
    expect(pairs.examples.at(0).tags).toEqual([["N"], ["N", "V"]]);
  });
});
