// Masked tokens: how many, which, what becomes of them, and that seed, epoch and row alone decide.

import { describe, expect, test } from "vitest";
import { makeBatch, NONE } from "../../src/data/batch.ts";
import { MASKED_SHARE, maskingOf, maskRows } from "../../src/data/masking.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";

const words = Array.from({ length: 40 }, (_, i) => `w${i}`);
const tokenizer = loadTokenizer(
  new Map([["vocab.txt", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words].map((w) => `${w}\n`).join("")]]),
);
const { maskId, specialIds } = tokenizer;
const rowsOf = (texts: readonly string[]) => texts.map((text) => tokenizer.encode(text));
const first = (n: number) => words.slice(0, n).join(" ");

test("the tokenizer tells its special tokens", () => {
  expect(maskId).toBe(4);
  expect([...specialIds].sort()).toEqual([0, 1, 2, 3, 4]);
});

describe("a batch", () => {
  const rows = rowsOf([first(40), "w1 nosuchword w2", first(17)]);
  const tokens = rows.reduce((sum, { ids }) => sum + ids.length, 0);
  const masking = maskingOf(tokenizer, rows, 0, "t");
  const masked = maskRows(rows, [0, 1, 2], masking, 7, 3);

  test("15 % of all tokens are chosen, special ones never; the others stay", () => {
    const targets = masked.flatMap(({ targets = [] }) => Array.from(targets));
    expect(targets.filter((id) => id !== NONE).length).toBe(Math.ceil(MASKED_SHARE * tokens));
    for (const [r, { ids, targets = [] }] of masked.entries())
      for (const [i, id] of rows[r].ids.entries()) {
        if (targets[i] === NONE) expect(ids[i]).toBe(id);
        else expect([targets[i], specialIds.has(id)]).toEqual([id, false]);
      }
  });

  test("seed, epoch and row decide; order and company do not move a token's numbers", () => {
    expect(maskRows(rows, [0, 1, 2], masking, 7, 3)).toEqual(masked);
    expect(maskRows([...rows].reverse(), [2, 1, 0], masking, 7, 3).reverse()).toEqual(masked);
    expect(maskRows(rows, [0, 1, 2], masking, 7, 4)).not.toEqual(masked);
    expect(maskRows(rows, [0, 1, 2], masking, 8, 3)).not.toEqual(masked);
    expect(maskRows(rows, [3, 4, 5], masking, 7, 3)).not.toEqual(masked);
  });

  test("the batch lists masked rows in order, with weights that carry the mean", () => {
    const batch = makeBatch(masked, { size: 4, maskedShare: MASKED_SHARE, tokenCount: 100, maskedCount: 20 });
    expect(batch.masked).toBe(Math.ceil(MASKED_SHARE * batch.rows));
    expect(batch.maskedRows.length).toBe(batch.masked);
    const chosen = [...batch.targets.keys()].filter((row) => batch.targets[row] !== NONE);
    expect([...batch.maskedRows].filter((row) => row !== NONE)).toEqual(chosen);
    expect([...batch.targetWeight.keys()].filter((row) => batch.targetWeight[row] === 1 / 20)).toEqual(chosen);
    expect([...batch.eachWeight]).toEqual(Array.from(batch.ids, (id) => (id === NONE ? 0 : 1 / 100)));
    const alone = makeBatch(masked, { size: 4, maskedShare: MASKED_SHARE });
    expect(alone.eachWeight[0]).toBe(1 / tokens);
    expect(alone.targetWeight[chosen[0]]).toBe(1 / chosen.length);
    expect(makeBatch(rows, { size: 4 }).masked).toBe(0);
  });
});

test("80 % become [MASK], 10 % any token, 10 % stay", () => {
  const rows = rowsOf(Array(50).fill(first(40)));
  const numbers = [...rows.keys()];
  const masking = maskingOf(tokenizer, rows, 0, "t");
  let [all, mask, same] = [0, 0, 0];
  for (let epoch = 0; epoch < 10; epoch++)
    for (const { ids, targets = [] } of maskRows(rows, numbers, masking, 1, epoch))
      for (let i = 0; i < ids.length; i++) {
        if (targets[i] === NONE) continue;
        all++;
        if (ids[i] === maskId) mask++;
        else if (ids[i] === targets[i]) same++;
      }
  expect(all).toBe(10 * Math.ceil(MASKED_SHARE * 50 * 42));
  // Any token may be the same one, or [MASK]; four deviations of 3,150 draws.
  const near = (share: number, expected: number) =>
    expect(Math.abs(share / all - expected)).toBeLessThan(4 * Math.sqrt((expected * (1 - expected)) / all));
  near(mask, 0.8 + 0.1 / 45);
  near(same, 0.1 + 0.1 / 45);
});

test("a token is chosen in proportion to its count to the power −0.7", () => {
  // Counts 8, 4 and 1; five tokens a row, of which one is chosen.
  const text = rowsOf(["w0 w1 w2", ...Array(3).fill("w0 w1"), ...Array(4).fill("w0")]);
  const masking = maskingOf(tokenizer, text, 0.7, "t");
  const [a, b, c] = [8, 4, 1].map((n) => n ** -0.7);
  const id = (word: string) => tokenizer.vocabulary.get(word) as number;
  for (const [word, weight] of [["w0", a] as const, ["w1", b] as const, ["w2", c] as const, ["w9", 1] as const])
    expect(masking.weights[id(word)]).toBeCloseTo(weight, 12);
  expect([...specialIds].map((special) => masking.weights[special])).toEqual([0, 0, 0, 0, 0]);
  const found = new Map<number, number>();
  const draws = 4000;
  for (let epoch = 0; epoch < draws; epoch++) {
    const [{ targets = [] }] = maskRows(text.slice(0, 1), [0], masking, 5, epoch);
    const chosen = Array.from(targets).filter((target) => target !== NONE);
    expect(chosen.length).toBe(1);
    found.set(chosen[0], (found.get(chosen[0]) ?? 0) + 1);
  }
  for (const [word, weight] of [["w0", a] as const, ["w1", b] as const, ["w2", c] as const]) {
    const p = weight / (a + b + c);
    expect(Math.abs((found.get(id(word)) ?? 0) / draws - p), word).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / draws));
  }
});

test("what cannot be masked is refused", () => {
  expect(() => maskingOf(tokenizer, rowsOf(["nosuchword"]), 0, "t.txt")).toThrow(/^t\.txt: the text has no token/);
  const bare = loadTokenizer(new Map([["vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nx\n"]]));
  expect(bare.maskId).toBeUndefined();
  expect(() => maskingOf(bare, [bare.encode("x")], 0, "t")).toThrow(/needs a mask_token/);
});
