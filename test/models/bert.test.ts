// BERT: parity with transformers, and the sizes of the models of the literature.

import { expect, test } from "vitest";
import { bert } from "../../src/models/bert.ts";
import { bodyParameters, COMMON, equalsTransformers } from "./parity.ts";

equalsTransformers("bert", [
  ["bert-a", 0],
  ["bert-b", 2],
  ["bert-c", 1],
]);

// Of the body with its pooler, as the papers count.
test.each([
  ["BERT-base", 12, 768, 12, 3072, 109_482_240],
  ["BERT-large", 24, 1024, 16, 4096, 335_141_888],
  ["PKD-6, TinyBERT-6, MiniLM 6x768", 6, 768, 12, 3072, 66_955_008],
  ["PKD-3", 3, 768, 12, 3072, 45_691_392],
  ["TinyBERT-4", 4, 312, 12, 1200, 14_350_248],
  ["MiniLM 12x384", 12, 384, 12, 1536, 33_360_000],
  ["MiniLM 6x384", 6, 384, 12, 1536, 22_713_216],
  ["MiniLM 4x384", 4, 384, 12, 1536, 19_164_288],
  ["MiniLM 3x384", 3, 384, 12, 1536, 17_389_824],
])("%s has as many parameters as its paper counts", (_, layers, width, heads, inner, expected) => {
  expect(bodyParameters(bert.sized({ layers, width, heads, inner }, COMMON))).toBe(expected);
});
