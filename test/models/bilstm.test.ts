// Distilled BiLSTM: parity with PyTorch, its size, and what a fresh one begins with.

import { describe, expect, test } from "vitest";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { type BilstmConfig, bilstm } from "../../src/models/bilstm.ts";
import { parseConfig } from "../../src/models/index.ts";
import { embeddingTable } from "../../src/train/embeddings.ts";
import { freshWeights } from "../../src/train/model.ts";
import { parametersOf } from "../../src/train/programs.ts";
import { type Beginning, freshStudent, parseStudent, pruneLayers, type StudentSpec } from "../../src/train/student.ts";
import { fixtureBytes } from "../fixtures/read.ts";
import { COMMON, equalsTransformers } from "./parity.ts";

equalsTransformers("bilstm", [
  ["bilstm-a", 2],
  ["bilstm-b", 1],
]);

const spec = (text: string) => parseStudent(text) as StudentSpec & { kind: "fresh" };
const bert = parseConfig(new TextDecoder().decode(fixtureBytes("bert-a/config.json")), "bert-a");
const teacher = { config: bert, weights: freshWeights(bert, 1) };
const words = teacher.weights.get("bert.embeddings.word_embeddings.weight")!;
const fresh = (text: string, more: Partial<Beginning> = {}) =>
  freshStudent(spec(text), { like: teacher, pair: false, seed: 3, ...more });

test("it has as many parameters as its paper counts, beside the embeddings", () => {
  const count = (inner: number, pair = false) => {
    const sized = bilstm.sized({ layers: 1, width: 150, heads: 1, inner }, COMMON);
    const config = bilstm.suited!(sized, { vectors: 300, pair });
    const shapes = [...parametersOf(config)].filter(([path]) => !path.startsWith("embeddings."));
    return shapes.reduce((sum, [, shape]) => sum + shape.reduce((a, b) => a * b), 0);
  };
  expect(count(200)).toBe(963_002);
  expect(count(400)).toBe(1_023_602);
  // Six states more for each unit of fc.
  expect(count(200, true)).toBe(963_002 + 6 * 150 * 200);
});

describe("--student", () => {
  test("bilstm, bilstm:H and bilstm:HxFC", () => {
    expect(fresh("bilstm").config).toMatchObject({ hidden_size: 150, classifier_size: 200, classifier_dropout: 0.1 });
    expect(fresh("bilstm:30").config).toMatchObject({ hidden_size: 30, classifier_size: 200 });
    expect(fresh("bilstm:30x40").config).toMatchObject({ hidden_size: 30, classifier_size: 40 });
  });

  test("what is no size is told how sizes are written", () => {
    for (const text of ["bilstm:", "bilstm:x4", "bilstm:2x3x4", "bert:4", "layers:x"])
      expect(() => parseStudent(text), text).toThrow(
        "bert:LxD[xHxF], distilbert:LxD[xHxF], mobilebert:LxDxT[xHxFxN], ibbert:LxDxT[xHxFxN] or bilstm[:H[xFC]]",
      );
    expect(() => parseStudent("bilstm:0")).toThrow("every number must be at least 1");
    for (const path of ["bert", "C:\\models\\bilstm", "models/bilstm", "bilstm2:x"])
      expect(parseStudent(path)).toEqual({ kind: "path", path });
  });
});

describe("a fresh one", () => {
  test("begins with the teacher's word embeddings in both channels, and its labels, lengths and vocabulary", () => {
    const { config, weights } = fresh("bilstm:8x5");
    expect(config).toMatchObject({
      ...{ model_type: "bilstm", embedding_size: 32, vocab_size: 99, max_position_embeddings: 40, siamese: false },
      id2label: { 0: "negative", 1: "positive" },
    });
    const [trained, frozen] = ["trained", "frozen"].map((name) => weights.get(`embeddings.${name}.weight`)!.data);
    expect(trained).toEqual(words.data);
    expect(frozen).toEqual(words.data);
    expect(new Set([trained, frozen, words.data]).size).toBe(3);
    expect([...weights.keys()].sort()).toEqual([...parametersOf(config).keys()].sort());
  });

  test("draws the rest within 1/√fan-in, biases too, from its seed", () => {
    const { weights } = fresh("bilstm:16x25");
    for (const [path, fanIn] of [
      ["lstm.weight_ih_l0", 16],
      ["lstm.bias_hh_l0_reverse", 16],
      ["fc.weight", 32],
      ["classifier.bias", 25],
    ] as const) {
      const { data } = weights.get(path)!;
      const largest = Math.max(...data.map(Math.abs));
      expect(largest, path).toBeLessThanOrEqual(1 / Math.sqrt(fanIn));
      expect(new Set(data).size).toBe(data.length);
      if (data.length > 40) expect(largest, path).toBeGreaterThan(0.9 / Math.sqrt(fanIn));
    }
    expect(fresh("bilstm:16x25").weights).toEqual(weights);
    expect(fresh("bilstm:16x25", { seed: 4 }).weights.get("fc.weight")).not.toEqual(weights.get("fc.weight"));
  });

  test("is siamese for pairs, without dropout", () => {
    const { config, weights } = fresh("bilstm:8x5", { pair: true });
    expect(config).toMatchObject({ siamese: true, classifier_dropout: 0 });
    expect(weights.get("fc.weight")?.shape).toEqual([5, 64]);
  });

  test("of a BiLSTM begins with its trained channel, and has no layers to take", () => {
    const first = fresh("bilstm:8x5");
    const { config } = freshStudent(spec("bilstm:4"), { like: first, pair: false, seed: 1 });
    expect(config).toMatchObject({ hidden_size: 4, embedding_size: 32, classifier_size: 200 });
    expect(() => pruneLayers(first, [0, 1])).toThrow("layer 1 does not exist");
  });

  test("takes the vectors of a file in place of the teacher's, one row a token", () => {
    const vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "##ly"];
    const tokenizer = loadTokenizer(new Map([["vocab.txt", `${vocabulary.join("\n")}\n`]]));
    const bytes = new TextEncoder().encode("bad 1 -2.5 3e-1\nnever 9 9 9\ngood 4 5 6\n");
    const { vectors, note } = embeddingTable({ name: "v.txt", bytes }, tokenizer, 8, 1);
    expect(note).toBe("v.txt: vectors of 3 numbers for 2 of 8 tokens; the others begin at random");
    expect([...vectors.data.slice(15, 21)]).toEqual([4, 5, 6, 1, -2.5, Math.fround(0.3)]);
    expect(new Set(vectors.data).size).toBe(24);
    const { config, weights } = fresh("bilstm:8", { vectors });
    expect((config as BilstmConfig).embedding_size).toBe(3);
    expect(weights.get("embeddings.frozen.weight")).toEqual(vectors);
    expect(() => fresh("bert:2x8x2", { vectors })).toThrow("a student of type bert does not begin with word vectors");
    expect(() =>
      embeddingTable(
        { name: "v.txt", bytes: bytes.slice(16) },
        loadTokenizer(new Map([["vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"]])),
        5,
        1,
      ),
    ).toThrow("none of its words");
  });
});
