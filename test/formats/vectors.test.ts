import { expect, test } from "vitest";
import { parseWordVectors } from "../../src/formats/vectors.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const read = (text: string, wanted = (_: string) => true) => parseWordVectors(bytes(text), "v.txt", wanted);

test("GloVe: a word and its numbers a line", () => {
  const { width, vectors } = read("the 0.25 -1\n, 1e-3 2\n");
  expect(width).toBe(2);
  expect([...vectors]).toEqual([
    ["the", Float32Array.of(0.25, -1)],
    [",", Float32Array.of(1e-3, 2)],
  ]);
});

test("word2vec: the same behind a line of counts, with spaces at the ends", () => {
  const { width, vectors } = read("2 3\n</s> 0 0 0 \nnaïve 1 2 3 \r\n");
  expect(width).toBe(3);
  expect(vectors.get("naïve")).toEqual(Float32Array.of(1, 2, 3));
});

test("only wanted words are read; the first of two counts; a word with spaces is none", () => {
  const { vectors } = read("a 1 2\nb x y\nat name@domain.com 3 4\na 5 6\nat 7 8", (word) => word !== "b");
  expect([...vectors]).toEqual([
    ["a", Float32Array.of(1, 2)],
    ["at", Float32Array.of(7, 8)],
  ]);
});

test.each([
  ["the\n", "v.txt:1", "expected a word and its numbers"],
  ["the 1 2\nof 1\n", "v.txt:2", "1 numbers, expected 2"],
  ["the 1 2\nof 1 nil\n", "v.txt:2", 'expected a number, found "nil"'],
  ["the 1  2\n", "v.txt:1", 'expected a number, found ""'],
])("%j is refused", (text, where, message) => {
  expect(() => read(text)).toThrow(message);
  expect(() => read(text)).toThrow(where);
});
