// The four tokenizer files of a BERT folder as they are handed on. data/tokenizer.ts gives them their meaning and
// derives those that a folder lacks; here only what must not travel is taken out.
import { InputError, LimbeckError } from "../errors.ts";
import { isObject, type JsonObject, parseJson } from "./json.ts";

/** The only names that are ever read for a tokenizer. */
export const TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"];

/**
 * A copy for another folder. tokenizer_config.json loses names of files and of code: one that named a private file
 * would carry it along (transformers #46279). Its class becomes `tokenizer`, its length the model's unless it has a smaller one.
 */
export function portableTokenizerFiles(
  files: ReadonlyMap<string, string>,
  maxLength: number,
  tokenizer: string,
): Map<string, string> {
  const missing = TOKENIZER_FILES.filter((name) => !files.has(name));
  if (missing.length > 0) {
    throw new LimbeckError(
      "INCOMPLETE_TOKENIZER",
      `${missing.join(", ")} must be there; take the files of a loaded one.`,
      {
        where: "tokenizer",
      },
    );
  }
  const where = "tokenizer_config.json";
  const json = parseJson(files.get(where)!, { where });
  if (!isObject(json)) throw new InputError("INVALID_TOKENIZER", "expected a JSON object.", { where });
  const config: JsonObject = Object.create(null);
  for (const [key, value] of Object.entries(json)) {
    if (!/(_file|^name_or_path|^auto_map|^processor_class)$/.test(key)) config[key] = value;
  }
  config.tokenizer_class = tokenizer;
  // Without it, or with that of a model with more positions, transformers lets a long text index past the position embeddings.
  const given = config.model_max_length;
  config.model_max_length = typeof given === "number" && given < maxLength ? given : maxLength;
  return new Map(files).set(where, `${JSON.stringify(config, null, 2)}\n`);
}
