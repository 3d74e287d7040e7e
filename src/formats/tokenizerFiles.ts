// The four tokenizer files of a BERT folder: tokenizer.json, tokenizer_config.json, special_tokens_map.json, vocab.txt.
// Folders in the wild lack some of them; what is missing follows from the rest (transformers,
// convert_slow_tokenizer.py, BertConverter).
import { InputError } from "../errors.ts";
import { quote } from "./files.ts";
import { isObject, type JsonObject, parseJson } from "./json.ts";

/** The only names that are ever read for a tokenizer. */
export const TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"];

const SPECIAL = {
  unk_token: "[UNK]",
  sep_token: "[SEP]",
  pad_token: "[PAD]",
  cls_token: "[CLS]",
  mask_token: "[MASK]",
};

/** All four; given ones stay as they are, except that tokenizer_config.json loses names of folders and of code. */
export function completeTokenizerFiles(
  given: ReadonlyMap<string, string>,
  { where = "tokenizer", maxLength }: { where?: string; maxLength?: number } = {},
): Map<string, string> {
  const parse = (name: string): JsonObject => {
    const text = given.get(name);
    if (text === undefined) return Object.create(null);
    const json = parseJson(text, { where: `${where}/${name}` });
    if (isObject(json)) return json;
    throw new InputError("INVALID_TOKENIZER", "expected a JSON object.", { where: `${where}/${name}` });
  };
  const config = cleanConfig(parse("tokenizer_config.json"));
  // Without it transformers truncates nothing, and a long text indexes past the position embeddings.
  if (maxLength !== undefined) config.model_max_length ??= maxLength;
  const vocabText = given.get("vocab.txt");
  const tokenizerText = given.get("tokenizer.json");
  if (vocabText === undefined && tokenizerText === undefined) {
    throw new InputError("NO_TOKENIZER", "expected tokenizer.json or vocab.txt, found neither.", { where });
  }
  const vocab =
    vocabText === undefined
      ? vocabFromTokenizer(parse("tokenizer.json"), `${where}/tokenizer.json`)
      : parseVocab(vocabText, `${where}/vocab.txt`);
  return new Map([
    ["tokenizer.json", tokenizerText ?? JSON.stringify(makeTokenizer(vocab, config, `${where}/vocab.txt`))],
    ["tokenizer_config.json", `${JSON.stringify(config, null, 2)}\n`],
    [
      "special_tokens_map.json",
      given.get("special_tokens_map.json") ?? `${JSON.stringify(specials(config), null, 2)}\n`,
    ],
    ["vocab.txt", vocabText ?? `${vocab.join("\n")}\n`],
  ]);
}

/** One token a line, its id the line's number. */
export function parseVocab(text: string, where: string): string[] {
  const lines = text.split("\n").map((line) => line.replace(/\r$/, ""));
  if (lines.at(-1) === "") lines.pop();
  const seen = new Map<string, number>();
  for (const [id, token] of lines.entries()) {
    const before = seen.get(token);
    if (before !== undefined) {
      throw new InputError("INVALID_VOCABULARY", `the token ${quote(token)} stands on line ${before + 1} already.`, {
        where: `${where}:${id + 1}`,
      });
    }
    seen.set(token, id);
  }
  return lines;
}

function vocabFromTokenizer(tokenizer: JsonObject, where: string): string[] {
  const model = isObject(tokenizer.model) ? tokenizer.model : {};
  if (!isObject(model.vocab) || (model.type !== undefined && model.type !== "WordPiece")) {
    throw new InputError(
      "INVALID_TOKENIZER",
      `model.type: expected "WordPiece" with a vocab object, found ${quote(model.type)}; BERT has no other.`,
      { where },
    );
  }
  const byId = new Map<unknown, string>();
  const added = Array.isArray(tokenizer.added_tokens) ? tokenizer.added_tokens.filter(isObject) : [];
  const pairs = [...Object.entries(model.vocab), ...added.map(({ content, id }) => [String(content), id] as const)];
  for (const [token, id] of pairs) {
    if ((byId.get(id) ?? token) !== token) {
      throw new InputError(
        "INVALID_VOCABULARY",
        `${quote(token)} and ${quote(byId.get(id))} have the id ${quote(id)}.`,
        {
          where,
        },
      );
    }
    byId.set(id, token);
  }
  return Array.from({ length: byId.size }, (_, id) => {
    const token = byId.get(id);
    if (token !== undefined) return token;
    throw new InputError("INVALID_VOCABULARY", `expected the ids 0 to ${byId.size - 1}, ${id} is missing.`, { where });
  });
}

function cleanConfig(json: JsonObject): JsonObject {
  const config: JsonObject = Object.create(null);
  for (const [key, value] of Object.entries(json)) {
    if (!/(_file|^name_or_path|^auto_map|^processor_class)$/.test(key)) config[key] = value;
  }
  for (const [key, token] of Object.entries(SPECIAL)) config[key] ??= token;
  config.do_lower_case ??= true;
  config.tokenizer_class = "BertTokenizer";
  return config;
}

/** A special token is given as a string or as { content, … }. */
function specials(config: JsonObject): Record<keyof typeof SPECIAL, string> {
  const map = { ...SPECIAL };
  for (const key of Object.keys(SPECIAL) as (keyof typeof SPECIAL)[]) {
    const value = isObject(config[key]) ? config[key].content : config[key];
    if (typeof value === "string") map[key] = value;
  }
  return map;
}

function makeTokenizer(vocab: string[], config: JsonObject, where: string): JsonObject {
  const ids: Record<string, number> = Object.create(null);
  for (const [id, token] of vocab.entries()) ids[token] = id;
  const names = specials(config);
  for (const token of Object.values(names)) {
    if (ids[token] !== undefined) continue;
    throw new InputError("INVALID_VOCABULARY", `the token ${quote(token)} is missing.`, { where });
  }
  const { cls_token: cls, sep_token: sep } = names;
  const special = (id: string, segment: number) => ({ SpecialToken: { id, type_id: segment } });
  const sequence = (id: string, segment: number) => ({ Sequence: { id, type_id: segment } });
  const first = [special(cls, 0), sequence("A", 0), special(sep, 0)];
  const template = (token: string) => ({ id: token, ids: [ids[token]], tokens: [token] });
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: Object.values(names)
      .map((content) => ({
        id: ids[content],
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      }))
      .sort((a, b) => a.id - b.id),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: config.tokenize_chinese_chars ?? true,
      strip_accents: config.strip_accents ?? null,
      lowercase: config.do_lower_case,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: first,
      pair: [...first, sequence("B", 1), special(sep, 1)],
      special_tokens: { [cls]: template(cls), [sep]: template(sep) },
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: names.unk_token,
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: ids,
    },
  };
}
