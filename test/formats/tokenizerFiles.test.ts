import { expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { portableTokenizerFiles, TOKENIZER_FILES } from "../../src/formats/tokenizerFiles.ts";

const given = (config: unknown) =>
  new Map([
    ["tokenizer.json", '{"version":"1.0"}'],
    ["tokenizer_config.json", JSON.stringify(config)],
    ["special_tokens_map.json", "{}"],
    ["vocab.txt", "[PAD]\r\na\r\n"],
  ]);
const written = (config: unknown) =>
  JSON.parse(portableTokenizerFiles(given(config), 64, "BertTokenizer").get("tokenizer_config.json")!);

test("names of files and of code do not travel, everything else does", () => {
  const config = written({
    vocab_file: "/home/u/.ssh/id_rsa",
    tokenizer_file: "x",
    special_tokens_map_file: "y",
    name_or_path: "/home/u/model",
    auto_map: { AutoTokenizer: ["evil.py", null] },
    tokenizer_class: "BertTokenizerFast",
    do_lower_case: false,
    strip_accents: null,
    model_max_length: 48,
  });
  expect(config).toEqual({
    tokenizer_class: "BertTokenizer",
    do_lower_case: false,
    strip_accents: null,
    model_max_length: 48,
  });
});

test("the model's length is stated where the file states none, or that of a longer model", () => {
  expect(written({}).model_max_length).toBe(64);
  expect(written({ model_max_length: 512 }).model_max_length).toBe(64);
  // As transformers writes "none".
  expect(written({ model_max_length: 1e30 }).model_max_length).toBe(64);
});

test("the other files are handed on as they are", () => {
  const files = portableTokenizerFiles(given({}), 64, "BertTokenizer");
  for (const name of TOKENIZER_FILES) {
    if (name !== "tokenizer_config.json") expect(files.get(name)).toBe(given({}).get(name));
  }
});

test.each(TOKENIZER_FILES)("a set without %s is refused", (name) => {
  const files = given({});
  files.delete(name);
  expect(() => portableTokenizerFiles(files, 64, "BertTokenizer")).toThrow(`tokenizer: ${name} must be there`);
});

test("a configuration that is no object is refused", () => {
  expect(() => written([])).toThrow(InputError);
  expect(() => portableTokenizerFiles(given({}).set("tokenizer_config.json", "{"), 64, "BertTokenizer")).toThrow(
    /ends early/,
  );
});
