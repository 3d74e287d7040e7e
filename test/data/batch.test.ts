import fc from "fast-check";
import { expect, test } from "vitest";
import { type Encoded, makeBatch, NONE } from "../../src/data/batch.ts";
import { batchesOf, epochOrder } from "../../src/data/sampler.ts";

const sequence = fc
  .tuple(
    fc.array(fc.tuple(fc.nat(30), fc.nat(1)), { minLength: 1, maxLength: 40 }),
    fc.option(fc.nat(3), { nil: undefined }),
  )
  .map(([tokens, label]): Encoded => ({ ids: tokens.map(([id]) => id), segments: tokens.map(([, s]) => s), label }));

test("every token has one row, sequences lie end to end, the rest is NONE", () => {
  fc.assert(
    fc.property(fc.array(sequence, { minLength: 1, maxLength: 6 }), fc.nat(3), (encoded, spare) => {
      const batch = makeBatch(encoded, { size: encoded.length + spare });
      const lengths = encoded.map(({ ids }) => ids.length);
      expect(batch.tokens).toBe(lengths.reduce((a, b) => a + b));
      expect(batch.rows % 64).toBe(0);
      expect(batch.rows - batch.tokens).toBeLessThan(64);
      expect(batch.longest % 16).toBe(0);
      expect(batch.longest - Math.max(...lengths)).toBeLessThan(16);
      expect(batch.offsets.length).toBe(batch.sequences + 1);
      for (let b = 0; b < batch.sequences; b++) {
        const rows = [batch.offsets[b], batch.offsets[b + 1]];
        expect([...batch.ids.slice(...rows)]).toEqual(Array.from(encoded[b]?.ids ?? []));
        expect([...batch.segments.slice(...rows)]).toEqual(Array.from(encoded[b]?.segments ?? []));
        expect([...batch.positions.slice(...rows)]).toEqual(Array.from(encoded[b]?.ids ?? [], (_, i) => i));
        expect(batch.first[b]).toBe(b < encoded.length ? rows[0] : NONE);
      }
      for (const values of [batch.ids, batch.segments, batch.positions]) {
        expect(values.slice(batch.tokens).every((value) => value === NONE)).toBe(true);
      }
    }),
  );
});

test("orders are permutations of the rows, sorted and stable", () => {
  fc.assert(
    fc.property(fc.array(sequence, { minLength: 1, maxLength: 6 }), (encoded) => {
      const batch = makeBatch(encoded, { size: 6 });
      const orders = [
        [batch.ids, batch.order],
        [batch.segments, batch.segmentOrder],
        [batch.positions, batch.positionOrder],
      ];
      for (const [values, order] of orders) {
        expect(new Set(order).size).toBe(batch.rows);
        for (let i = 1; i < order.length; i++) {
          const [a, b] = [values[order[i - 1]], values[order[i]]];
          expect(a < b || (a === b && order[i - 1] < order[i])).toBe(true);
        }
      }
    }),
  );
});

const one = (label?: number): Encoded => ({ ids: [2, 3], segments: [0, 0], label });

test("weights divide by the counts of this batch, or of the larger one it is part of", () => {
  const own = makeBatch([one(1), one(), one(0), one(2)], { size: 6 });
  expect([...own.labels]).toEqual([1, NONE, 0, 2, NONE, NONE]);
  expect([...own.labelWeight]).toEqual([1 / 3, 0, 1 / 3, 1 / 3, 0, 0]);
  expect([...own.rowWeight]).toEqual([0.25, 0.25, 0.25, 0.25, 0, 0]);
  const part = makeBatch([one(1), one()], { size: 2, labelledCount: 4, sequenceCount: 8 });
  expect([...part.labelWeight]).toEqual([0.25, 0]);
  expect([...part.rowWeight]).toEqual([0.125, 0.125]);
});

test("a batch without labels weighs none, and regression fills scores", () => {
  expect([...makeBatch([one(), one()], { size: 2 }).labelWeight]).toEqual([0, 0]);
  const scores = makeBatch([one(3.5), one()], { size: 2, kind: "regression" });
  expect([...scores.scores]).toEqual([3.5, 0]);
  expect([...scores.labels]).toEqual([NONE, NONE]);
  expect([...scores.labelWeight]).toEqual([1, 0]);
});

test("too many sequences, none, and one without tokens are refused", () => {
  expect(() => makeBatch([], { size: 2 })).toThrow(/1 to 2, got 0/);
  expect(() => makeBatch([one(), one(), one()], { size: 2 })).toThrow(/got 3/);
  expect(() => makeBatch([{ ids: [], segments: [] }], { size: 2 })).toThrow(/at least one token/);
});

test("an epoch is a permutation that its number and the seed decide", () => {
  const order = epochOrder(100, 1, 0);
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  expect(epochOrder(100, 1, 0)).toEqual(order);
  expect(epochOrder(100, 1, 1)).not.toEqual(order);
  expect(epochOrder(100, 2, 0)).not.toEqual(order);
});

test("batches take the order piece by piece, the last may be short", () => {
  const pieces = [...batchesOf(Uint32Array.of(4, 1, 3, 0, 2), 2)].map((piece) => [...piece]);
  expect(pieces).toEqual([[4, 1], [3, 0], [2]]);
});

test("the two texts of a pair are told apart: [CLS], then each text with its [SEP]", () => {
  const pair = { ids: [2, 10, 11, 3, 12, 3], segments: [0, 0, 0, 0, 1, 1] };
  const single = { ids: [2, 10, 3], segments: [0, 0, 0] };
  const batch = makeBatch([pair, single, { ids: [2], segments: [0] }], { size: 4 });
  expect([...batch.last]).toEqual([5, 8, 9, NONE]);
  expect([...batch.textOffsets]).toEqual([0, 1, 4, 6, 7, 9, 9, 10, 10, 10, 10, 10, 10]);
  expect([...batch.firstOfText]).toEqual([1, 7, NONE, NONE]);
  expect([...batch.lastOfText]).toEqual([3, 8, NONE, NONE]);
  expect([...batch.firstOfPair]).toEqual([4, NONE, NONE, NONE]);
});
