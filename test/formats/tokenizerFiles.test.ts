import { Tokenizer } from "@huggingface/tokenizers";
import { describe, expect, test } from "vitest";
import { completeTokenizerFiles, TOKENIZER_FILES } from "../../src/formats/tokenizerFiles.ts";

const VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "still", "##s", "1", "0"];
const vocab = `${VOCAB.join("\n")}\n`;

function encode(files: Map<string, string>, text: string, pair?: string) {
  const tokenizer = new Tokenizer(
    JSON.parse(files.get("tokenizer.json")!),
    JSON.parse(files.get("tokenizer_config.json")!),
  );
  return tokenizer.encode(text, { text_pair: pair, return_token_type_ids: true });
}

test("vocab.txt alone gives a whole tokenizer", () => {
  const files = completeTokenizerFiles(new Map([["vocab.txt", vocab]]), { maxLength: 64 });
  expect([...files.keys()].sort()).toEqual([...TOKENIZER_FILES].sort());
  expect(files.get("vocab.txt")).toBe(vocab);
  expect(JSON.parse(files.get("tokenizer_config.json")!)).toMatchObject({
    tokenizer_class: "BertTokenizer",
    do_lower_case: true,
    model_max_length: 64,
  });
  expect(JSON.parse(files.get("special_tokens_map.json")!)).toEqual({
    unk_token: "[UNK]",
    sep_token: "[SEP]",
    pad_token: "[PAD]",
    cls_token: "[CLS]",
    mask_token: "[MASK]",
  });
  expect(encode(files, "A Stills 10 [MASK]").ids).toEqual([2, 5, 6, 7, 1, 4, 3]);
  const pair = encode(files, "a", "still");
  expect(pair.ids).toEqual([2, 5, 3, 6, 3]);
  expect(pair.token_type_ids).toEqual([0, 0, 0, 1, 1]);
});

test("do_lower_case of the configuration holds", () => {
  const given = new Map([
    ["vocab.txt", vocab],
    ["tokenizer_config.json", '{"do_lower_case": false}'],
  ]);
  expect(encode(completeTokenizerFiles(given), "A a").ids).toEqual([2, 1, 5, 3]);
});

test("vocab.txt follows from tokenizer.json, with added tokens, in the order of the ids", () => {
  const made = completeTokenizerFiles(new Map([["vocab.txt", vocab]]));
  const tokenizer = JSON.parse(made.get("tokenizer.json")!);
  tokenizer.added_tokens.push({ id: VOCAB.length, content: "[NEW]", special: true });
  const text = JSON.stringify(tokenizer);
  const files = completeTokenizerFiles(new Map([["tokenizer.json", text]]));
  expect(files.get("vocab.txt")).toBe(`${vocab}[NEW]\n`);
  expect(files.get("tokenizer.json")).toBe(text);
});

test("names of folders and of code do not travel, other fields do", () => {
  const config = {
    vocab_file: "/home/u/.ssh/id_rsa",
    tokenizer_file: "x",
    special_tokens_map_file: "y",
    name_or_path: "/home/u/model",
    auto_map: { AutoTokenizer: ["evil.py", null] },
    tokenizer_class: "BertTokenizerFast",
    strip_accents: null,
    model_max_length: 512,
  };
  const given = new Map([
    ["vocab.txt", vocab],
    ["tokenizer_config.json", JSON.stringify(config)],
  ]);
  const written = JSON.parse(completeTokenizerFiles(given, { maxLength: 64 }).get("tokenizer_config.json")!);
  expect(Object.keys(written).filter((key) => /file|path|auto/.test(key))).toEqual([]);
  expect(written).toMatchObject({ tokenizer_class: "BertTokenizer", strip_accents: null, model_max_length: 512 });
});

test("CRLF and a missing last newline change no token", () => {
  const files = completeTokenizerFiles(new Map([["vocab.txt", VOCAB.join("\r\n")]]));
  expect(JSON.parse(files.get("tokenizer.json")!).model.vocab).toEqual(
    Object.fromEntries(VOCAB.map((token, id) => [token, id])),
  );
});

describe("refused", () => {
  const wordPiece = (vocabulary: unknown, type = "WordPiece") => JSON.stringify({ model: { type, vocab: vocabulary } });
  test.each<[string, [string, string][], RegExp]>([
    ["no tokenizer", [], /tokenizer.json or vocab.txt, found neither/],
    ["one token twice", [["vocab.txt", "a\nb\na\n"]], /vocab\.txt:3: the token "a" stands on line 1 already/],
    ["no [CLS]", [["vocab.txt", vocab.replace("[CLS]", "x")]], /the token "\[CLS\]" is missing/],
    ["BPE", [["tokenizer.json", wordPiece({ a: 0 }, "BPE")]], /expected "WordPiece" with a vocab object, found "BPE"/],
    ["a hole in the ids", [["tokenizer.json", wordPiece({ a: 0, b: 2 })]], /ids 0 to 1, 1 is missing/],
    ["a huge id", [["tokenizer.json", wordPiece({ a: 0, b: 4e9 })]], /ids 0 to 1, 1 is missing/],
    ["one id twice", [["tokenizer.json", wordPiece({ a: 0, b: 0 })]], /"b" and "a" have the id 0/],
    ["ids as text", [["tokenizer.json", wordPiece({ a: "0" })]], /ids 0 to 0, 0 is missing/],
    ["broken JSON", [["tokenizer.json", "{"]], /tokenizer\.json: the JSON ends early/],
    ["a list", [["tokenizer.json", "[]"]], /expected a JSON object/],
  ])("%s", (_name, given, message) => {
    expect(() => completeTokenizerFiles(new Map(given))).toThrow(message);
  });
});
