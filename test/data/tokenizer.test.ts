import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadTokenizer } from "../../src/data/tokenizer.ts";

type Case = [text: string, pair: string | null, maxLength: number | null, ids: number[], segments: number[]];
const fixture = (name: string) => JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), "utf8"));
const small: { files: Record<string, string>; cases: Case[] } = fixture("tokenizer.json");
const filesOf = (...names: string[]) => new Map(names.map((name) => [name, small.files[name]]));

function fnv1a(ids: number[]): number {
  let hash = 0x811c9dc5;
  for (const byte of new Uint8Array(Uint32Array.from(ids).buffer)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

describe("ids and segments equal Hugging Face's [D6]", () => {
  for (const names of [
    ["tokenizer.json", "tokenizer_config.json"],
    ["vocab.txt", "tokenizer_config.json"],
  ]) {
    test(`on ${small.cases.length} lines, from ${names.join(" and ")}`, () => {
      const tokenizer = loadTokenizer(filesOf(...names));
      for (const [text, pair, maxLength, ids, segments] of small.cases) {
        const found = tokenizer.encode(text, pair ?? undefined, maxLength ?? undefined);
        expect({ text, pair, maxLength, ids: found.ids, segments: found.segments }).toEqual({
          text,
          pair,
          maxLength,
          ids,
          segments,
        });
      }
    });
  }

  const folder = join(process.env.LIMBECK_DATA ?? "", "bert-base-uncased-tokenizer");
  const missing = process.env.LIMBECK_DATA === undefined || !existsSync(folder);
  test.skipIf(missing)("on the same lines with the vocabulary of bert-base-uncased (LIMBECK_DATA)", () => {
    const names = ["tokenizer.json", "tokenizer_config.json", "vocab.txt"];
    const tokenizer = loadTokenizer(new Map(names.map((name) => [name, readFileSync(join(folder, name), "utf8")])));
    expect(tokenizer.vocabularySize).toBe(30522);
    const hashes: [number, number][] = fixture("tokenizer-real.json").cases;
    expect(hashes.length).toBe(small.cases.length);
    small.cases.forEach(([text, pair, maxLength], index) => {
      const { ids } = tokenizer.encode(text, pair ?? undefined, maxLength ?? undefined);
      expect([text, fnv1a(ids), ids.length]).toEqual([text, ...hashes[index]]);
    });
  });
});

const words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "film", "##s", "Film", "é", "σ", "ς"];
const vocabulary = (extra: string[] = []) => `${[...words, ...extra].join("\n")}\n`;

test("truncation is reported, the longer text of a pair is cut first [D5]", () => {
  const { encode } = loadTokenizer(new Map([["vocab.txt", vocabulary()]]));
  expect(encode("the film", undefined, 4)).toEqual({ ids: [2, 5, 6, 3], segments: [0, 0, 0, 0], truncated: false });
  expect(encode("the film", undefined, 3)).toEqual({ ids: [2, 5, 3], segments: [0, 0, 0], truncated: true });
  expect(encode("the", "film film film", 6).ids).toEqual([2, 5, 3, 6, 6, 3]);
  // Both are cut: an odd token goes to the longer text, to the second when they are equally long.
  expect(encode("the the the", "film film film", 6).ids).toEqual([2, 5, 3, 6, 6, 3]);
  expect(encode("the the the the", "film film film", 6).ids).toEqual([2, 5, 5, 3, 6, 3]);
  expect(() => encode("the", "film", 2)).toThrow(/room for 3/);
});

test("a vocabulary with Windows line ends reads the same [M7]", () => {
  const unix = loadTokenizer(new Map([["vocab.txt", vocabulary()]]));
  const windows = loadTokenizer(new Map([["vocab.txt", vocabulary().replaceAll("\n", "\r\n")]]));
  expect(windows.vocabularySize).toBe(words.length);
  expect(windows.encode("the films").ids).toEqual(unix.encode("the films").ids);
  expect(windows.files.get("vocab.txt")).toBe(vocabulary());
});

test("tokenizer_config.json decides about case and accents", () => {
  const encode = (config: object) =>
    loadTokenizer(
      new Map([
        ["vocab.txt", vocabulary()],
        ["tokenizer_config.json", JSON.stringify(config)],
      ]),
    ).encode("Film É").ids;
  expect(encode({ do_lower_case: true })).toEqual([2, 6, 1, 3]); // "film", "e"
  expect(encode({ do_lower_case: true, strip_accents: false })).toEqual([2, 6, 9, 3]);
  expect(encode({ do_lower_case: false })).toEqual([2, 8, 1, 3]); // "Film", "É"
});

test("a final sigma is lower-cased like any other [D6]", () => {
  const { encode } = loadTokenizer(new Map([["vocab.txt", vocabulary(["οσ", "ος"])]]));
  expect(encode("ΟΣ").ids).toEqual([2, 12, 3]);
});

test("characters that engines class otherwise than Hugging Face go its way [D6]", () => {
  // An ideograph outside its ranges, and a letter whose decomposition is younger than its tables.
  const { encode } = loadTokenizer(new Map([["vocab.txt", vocabulary(["a\u{2b820}", "\u{11938}", "a", "\u{20000}"])]]));
  expect(encode("a\u{2b820}").ids).toEqual([2, 12, 3]);
  expect(encode("\u{11938}").ids).toEqual([2, 13, 3]);
  expect(encode("a\u{20000}").ids).toEqual([2, 14, 15, 3]);
});

test("added tokens are taken whole, the longest first, single words only as words", () => {
  const base = loadTokenizer(new Map([["vocab.txt", vocabulary()]]));
  const json = JSON.parse(base.files.get("tokenizer.json")!);
  const token = (id: number, content: string, rest: object) => ({ id, content, normalized: false, ...rest });
  json.added_tokens.push(token(12, "<e>", { special: true }), token(13, "<e>x", { special: true }));
  json.added_tokens.push(token(14, "the", { single_word: true }), token(15, "BIG", { normalized: true }));
  const tokenizer = loadTokenizer(new Map([["tokenizer.json", JSON.stringify(json)]]));
  expect(tokenizer.vocabularySize).toBe(16);
  expect(tokenizer.encode("film<e>film<e>x").ids).toEqual([2, 6, 12, 6, 13, 3]);
  expect(tokenizer.encode("the film, big").ids).toEqual([2, 14, 6, 1, 15, 3]);
  expect(tokenizer.encode("them").ids).toEqual([2, 1, 3]);
});

test("all four files are written, and each alone is enough to load the same tokenizer", () => {
  const first = loadTokenizer(filesOf("vocab.txt", "tokenizer_config.json"));
  expect([...first.files.keys()].sort()).toEqual([
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
  ]);
  const again = loadTokenizer(new Map([["tokenizer.json", first.files.get("tokenizer.json")!]]));
  expect(again.vocabularySize).toBe(first.vocabularySize);
  expect(again.padId).toBe(0);
  for (const [text, pair] of small.cases.slice(0, 200)) {
    expect(again.encode(text, pair ?? undefined)).toEqual(first.encode(text, pair ?? undefined));
  }
});

test("files of a folder are passed on as they are", () => {
  const files = filesOf("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt");
  expect(loadTokenizer(files).files).toEqual(files);
});

test("what is not BERT's WordPiece is refused by name [M7]", () => {
  const load = (name: string, value: object) => () => loadTokenizer(new Map([[name, JSON.stringify(value)]]));
  const good = JSON.parse(small.files["tokenizer.json"]);
  expect(load("tokenizer.json", { ...good, model: { type: "BPE", vocab: { a: 0 } } })).toThrow(/tokenizer.json.*"BPE"/);
  expect(load("tokenizer.json", { ...good, normalizer: { type: "NFKC" } })).toThrow(/"NFKC"/);
  expect(load("tokenizer.json", { ...good, pre_tokenizer: null })).toThrow(/pre_tokenizer.type is absent/);
  const post = { ...good.post_processor, pair: good.post_processor.single };
  expect(load("tokenizer.json", { ...good, post_processor: post })).toThrow(/post_processor/);
  expect(load("tokenizer.json", { ...good, model: { ...good.model, vocab: {} } })).toThrow(/empty/);
  expect(load("vocab.json", {})).toThrow(/neither tokenizer.json nor vocab.txt/);
  expect(() => loadTokenizer(new Map([["vocab.txt", "a\nb\n"]]))).toThrow(/unk_token "\[UNK\]"/);
  expect(() => loadTokenizer(new Map([["tokenizer.json", '{"model'] as const]))).toThrow(
    /tokenizer.json: a string without its closing quote/,
  );
  const config = JSON.stringify({ tokenizer_class: "RobertaTokenizer" });
  const files = filesOf("vocab.txt").set("tokenizer_config.json", config);
  expect(() => loadTokenizer(files)).toThrow(/RobertaTokenizer/);
});

test("a megabyte on one line takes linear time and needs no stack [D5]", () => {
  const { encode } = loadTokenizer(new Map([["vocab.txt", vocabulary()]]));
  expect(encode("film ".repeat(200_000), "the ".repeat(200_000)).ids.length).toBe(400_003);
  expect(encode("x".repeat(1_000_000)).ids).toEqual([2, 1, 3]);
});
