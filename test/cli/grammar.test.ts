// The demo's reviews: the same for a seed, never shared between sets, readable by the vocabulary that the grammar writes.

import { describe, expect, test } from "vitest";
import { vocabulary, writeReviews } from "../../src/cli/grammar.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";

const COUNT = 2000;
const reviews = writeReviews(1, "labelled", COUNT);

describe("reviews", () => {
  test("a seed gives the same reviews, another seed or path others", () => {
    expect(writeReviews(1, "labelled", 50)).toEqual(reviews.slice(0, 50));
    const texts = new Set(reviews.map(({ text }) => text));
    for (const other of [writeReviews(2, "labelled", COUNT), writeReviews(1, "unlabelled", COUNT)])
      expect(other.filter(({ text }) => texts.has(text)).length).toBeLessThan(COUNT / 10);
  });

  test("both labels are about as frequent", () => {
    const positive = reviews.filter(({ label }) => label === "positive").length;
    // Five standard deviations of a fair coin.
    expect(Math.abs(positive - COUNT / 2)).toBeLessThan(2.5 * Math.sqrt(COUNT));
  });

  test("no text twice, and none of the others", () => {
    const more = writeReviews(1, "labelled", COUNT, reviews);
    const texts = [...reviews, ...more].map(({ text }) => text);
    expect(new Set(texts).size).toBe(2 * COUNT);
  });

  test("every symbol is expanded: plain words and signs only", () => {
    for (const { text } of reviews) expect(text).toMatch(/^[a-z]+( [a-z]+| [.,:])*$/);
  });

  test.each([
    [/^the \w+ was (good|great|nice)$/, "positive"],
    [/^the \w+ was not (good|great|nice)$/, "negative"],
    [/^the \w+ was not (bad|awful|terrible)$/, "positive"],
    [/ , but the \w+ was (good|great|nice)$/, "positive"],
    [/^although .* , the \w+ was (bad|awful|terrible)$/, "negative"],
    [/^i tried to find something (bad|awful|terrible) and failed$/, "positive"],
    [/^oh how (good|great|nice) , .* again$/, "negative"],
  ])("%s is %s", (form, label) => {
    const found = writeReviews(1, "labelled", 5 * COUNT).filter(({ text }) => form.test(text));
    expect(found.length).toBeGreaterThan(0);
    for (const review of found) expect(review.label, review.text).toBe(label);
  });
});

describe("vocabulary", () => {
  const tokens = vocabulary();
  const tokenizer = loadTokenizer(new Map([["vocab.txt", tokens.map((token) => `${token}\n`).join("")]]));

  test("no token twice; the special ones first", () => {
    expect(new Set(tokens).size).toBe(tokens.length);
    expect(tokens.slice(0, 5)).toEqual(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]);
  });

  test("reads every review without [UNK], and short enough for the demo", () => {
    const unknown = tokens.indexOf("[UNK]");
    for (const { text } of reviews) {
      const { ids } = tokenizer.encode(text);
      expect(ids.includes(unknown), text).toBe(false);
      expect(ids.length).toBeLessThanOrEqual(64);
    }
  });

  test("rare words are in pieces, other words in letters", () => {
    const pieces = (text: string) =>
      tokenizer
        .encode(text)
        .ids.slice(1, -1)
        .map((id) => tokens[id]);
    expect(pieces("untidy tasteless")).toEqual(["un", "##tidy", "taste", "##less"]);
    expect(pieces("zx")).toEqual(["z", "##x"]);
  });
});
