// BERT's tokenizer (Devlin et al. 2018): clean the text, split it at white space and punctuation, then take the longest
// matching pieces of each word from the left (WordPiece). Its ids equal those of Hugging Face's BertTokenizerFast, which
// is why the character classes come from unicode.ts and not from the engine's regular expressions.
// Reads and writes the files of a Hugging Face folder: tokenizer.json, tokenizer_config.json, special_tokens_map.json
// and vocab.txt.

import { InputError, LimbeckError } from "../errors.ts";
import { quote } from "../formats/files.ts";
import { isObject, type JsonObject, parseJson } from "../formats/json.ts";
import { IDEOGRAPHS, MARKS, PUNCTUATION, REMOVED, SPACES, UNDECOMPOSED } from "./unicode.ts";

export interface Encoding {
  ids: number[];
  segments: number[];
  /** Whether tokens were cut off to fit. */
  truncated: boolean;
}

export interface Tokenizer {
  /** One more than the largest id: rows of the embedding table that these ids need. */
  readonly vocabularySize: number;
  readonly padId: number;
  /** Absent where the vocabulary has no such token. */
  readonly maskId: number | undefined;
  /** [UNK], [SEP], [PAD], [CLS] and [MASK], as far as there are. */
  readonly specialIds: ReadonlySet<number>;
  /** What pieces begin with that are no word's first. */
  readonly insidePrefix: string;
  /** Id of every token. */
  readonly vocabulary: ReadonlyMap<string, number>;
  /** What a model folder holds: all four files, those that were absent derived from the others. */
  readonly files: ReadonlyMap<string, string>;
  /** [CLS] text [SEP], or [CLS] text [SEP] pair [SEP]; of a pair the longer text is cut first. */
  encode(text: string, pair?: string, maxLength?: number): Encoding;
}

interface AddedToken {
  id: number;
  content: string;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
  special: boolean;
}

const SPECIAL_NAMES = ["unk_token", "sep_token", "pad_token", "cls_token", "mask_token"] as const;
type SpecialName = (typeof SPECIAL_NAMES)[number];

/** Everything that decides the ids. */
interface Settings {
  vocabulary: Map<string, number>;
  added: AddedToken[];
  special: Record<SpecialName, string>;
  cleanText: boolean;
  splitIdeographs: boolean;
  lowercase: boolean;
  stripAccents: boolean | null;
  prefix: string;
  longestWord: number;
}

type Json = JsonObject;

/** Ids under this: the largest vocabularies have half as many tokens, and memory is taken for every id up to the last. */
const ID_LIMIT = 1 << 20;
const isId = (id: unknown): id is number => Number.isInteger(id) && (id as number) >= 0 && (id as number) < ID_LIMIT;

/** `files`: contents by base name, of the four above those that the folder has; tokenizer.json or vocab.txt is needed. */
export function loadTokenizer(files: ReadonlyMap<string, string>): Tokenizer {
  const settings = readSettings(files);
  const encode = encoder(settings);
  const ids = [...settings.vocabulary.values(), ...settings.added.map(({ id }) => id)];
  return {
    vocabularySize: ids.reduce((most, id) => Math.max(most, id), -1) + 1,
    vocabulary: settings.vocabulary,
    insidePrefix: settings.prefix,
    padId: settings.vocabulary.get(settings.special.pad_token) ?? 0,
    maskId: settings.vocabulary.get(settings.special.mask_token),
    specialIds: new Set(Object.values(settings.special).flatMap((token) => settings.vocabulary.get(token) ?? [])),
    files: filesOf(files, settings),
    encode,
  };
}

// ---------------------------------------------------------------------------------------------------------- files

function readSettings(files: ReadonlyMap<string, string>): Settings {
  const tokenizer = readJson(files, "tokenizer.json");
  const config = readJson(files, "tokenizer_config.json") ?? {};
  const specialMap = readJson(files, "special_tokens_map.json") ?? {};
  if (tokenizer === undefined && !files.has("vocab.txt")) {
    throw new InputError("NO_TOKENIZER", "the folder has neither tokenizer.json nor vocab.txt; one of them is needed.");
  }
  refuseOtherClass(config);
  const model = object(tokenizer?.model);
  const normalizer = object(tokenizer?.normalizer);
  if (tokenizer) refuseOtherPipeline(tokenizer, model);

  const special = Object.fromEntries(
    SPECIAL_NAMES.map((name) => [
      name,
      contentOf(config[name]) ??
        contentOf(specialMap[name]) ??
        (name === "unk_token" ? contentOf(model.unk_token) : undefined) ??
        `[${name.slice(0, -6).toUpperCase()}]`,
    ]),
  ) as Record<SpecialName, string>;
  const vocabulary = tokenizer ? vocabularyOf(model) : vocabularyOfText(files.get("vocab.txt")!);
  const added = addedTokens(tokenizer, config, vocabulary, special);
  for (const { content, id } of added) if (!vocabulary.has(content)) vocabulary.set(content, id);
  for (const name of ["unk_token", "sep_token", "cls_token"] as const) {
    if (vocabulary.has(special[name])) continue;
    throw new InputError("BAD_TOKENIZER", `the ${name} "${special[name]}" is not in the vocabulary.`, {
      where: tokenizer ? "tokenizer.json" : "vocab.txt",
    });
  }
  // Where both files speak, Hugging Face's BertTokenizer follows tokenizer_config.json.
  const flag = (name: string, inModel: unknown) =>
    typeof config[name] === "boolean" ? config[name] : typeof inModel === "boolean" ? inModel : undefined;
  return {
    vocabulary,
    added,
    special,
    cleanText: flag("clean_text", normalizer.clean_text) ?? true,
    splitIdeographs: flag("tokenize_chinese_chars", normalizer.handle_chinese_chars) ?? true,
    lowercase: flag("do_lower_case", normalizer.lowercase) ?? true,
    stripAccents: flag("strip_accents", normalizer.strip_accents) ?? null,
    prefix: typeof model.continuing_subword_prefix === "string" ? model.continuing_subword_prefix : "##",
    longestWord: longestWordOf(model),
  };
}

function readJson(files: ReadonlyMap<string, string>, name: string): Json | undefined {
  const text = files.get(name);
  if (text === undefined) return undefined;
  const value = parseJson(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text, { where: name, code: "BAD_TOKENIZER" });
  if (!isObject(value)) throw new InputError("BAD_TOKENIZER", "a JSON object was expected.", { where: name });
  return value;
}

function object(value: unknown): Json {
  return typeof value === "object" && value !== null ? (value as Json) : {};
}

/** A special token is written as a string, or as an object with its `content`. */
function contentOf(value: unknown): string | undefined {
  const content = typeof value === "string" ? value : object(value).content;
  return typeof content === "string" ? content : undefined;
}

function refuseOtherClass(config: Json): void {
  const name = config.tokenizer_class;
  if (typeof name !== "string") return;
  const known = ["Bert", "DistilBert", "MobileBert", "Electra", "PreTrained", ""];
  if (known.includes(name.replace(/Tokenizer(Fast|sBackend)?$/, ""))) return;
  throw new InputError(
    "UNSUPPORTED_TOKENIZER",
    `tokenizer_class "${name}" is not supported; limbeck reads WordPiece as BERT has it (BertTokenizer).`,
    { where: "tokenizer_config.json" },
  );
}

function refuseOtherPipeline(tokenizer: Json, model: Json): void {
  const refuse = (part: string, found: unknown, expected: string): never => {
    throw new InputError(
      "UNSUPPORTED_TOKENIZER",
      `${part} is ${found === undefined ? "absent" : quote(found)}, expected ${expected}: limbeck reads WordPiece as BERT has it.`,
      { where: "tokenizer.json" },
    );
  };
  // Older files leave the model's type out.
  const type = model.type ?? ("continuing_subword_prefix" in model ? "WordPiece" : undefined);
  if (type !== "WordPiece") refuse("model.type", type, '"WordPiece"');
  const normalizer = object(tokenizer.normalizer).type;
  if (normalizer !== "BertNormalizer") refuse("normalizer.type", normalizer, '"BertNormalizer"');
  const splitter = object(tokenizer.pre_tokenizer).type;
  if (splitter !== "BertPreTokenizer") refuse("pre_tokenizer.type", splitter, '"BertPreTokenizer"');
  const post = object(tokenizer.post_processor);
  if (post.type === "TemplateProcessing") {
    const shape = (items: unknown) =>
      (Array.isArray(items) ? items : [])
        .map((item) => {
          const sequence = object(object(item).Sequence);
          const token = object(object(item).SpecialToken);
          const [id, segment] = [sequence.id ?? "*", sequence.type_id ?? token.type_id];
          return `${typeof id === "string" ? id : "?"}${typeof segment === "number" ? segment : "?"}`;
        })
        .join(" ");
    const found = `${shape(post.single)} / ${shape(post.pair)}`;
    const expected = "*0 A0 *0 / *0 A0 *0 B1 *1";
    if (found !== expected) refuse("post_processor", found, `"${expected}" ([CLS] A [SEP] / [CLS] A [SEP] B [SEP])`);
  } else if (post.type !== "BertProcessing") {
    refuse("post_processor.type", post.type, '"TemplateProcessing" or "BertProcessing"');
  }
}

function longestWordOf({ max_input_chars_per_word: length = 100 }: Json): number {
  if (Number.isSafeInteger(length) && (length as number) >= 1) return length as number;
  throw new InputError(
    "BAD_TOKENIZER",
    `model.max_input_chars_per_word should be a number of characters; it is ${quote(length)}.`,
    { where: "tokenizer.json" },
  );
}

function vocabularyOf(model: Json): Map<string, number> {
  const entries = Object.entries(object(model.vocab));
  const wrong = entries.find(([, id]) => !isId(id));
  if (entries.length === 0 || wrong) {
    const found = wrong ? `${quote(wrong[0])} has the id ${quote(wrong[1])}` : "it is empty";
    throw new InputError("BAD_TOKENIZER", `model.vocab should map tokens to ids under ${ID_LIMIT}; ${found}.`, {
      where: "tokenizer.json",
    });
  }
  return new Map(entries as [string, number][]);
}

function vocabularyOfText(text: string): Map<string, number> {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return new Map(lines.map((token, id) => [token, id]));
}

function addedTokens(
  tokenizer: Json | undefined,
  config: Json,
  vocabulary: ReadonlyMap<string, number>,
  special: Record<SpecialName, string>,
): AddedToken[] {
  const byContent = new Map<string, AddedToken>();
  const add = (value: unknown, id: unknown, where: string): void => {
    const token = object(value);
    const content = contentOf(token);
    if (content === undefined || !isId(id))
      throw new InputError(
        "BAD_TOKENIZER",
        `an added token should have a content and an id under ${ID_LIMIT}; found ${quote(value)} with the id ${quote(id)}.`,
        { where },
      );
    if (content === "") return;
    const isSpecial = token.special === true;
    byContent.set(content, {
      id,
      content,
      single_word: token.single_word === true,
      lstrip: token.lstrip === true,
      rstrip: token.rstrip === true,
      normalized: typeof token.normalized === "boolean" ? token.normalized : !isSpecial,
      special: isSpecial,
    });
  };
  for (const name of SPECIAL_NAMES) {
    const id = vocabulary.get(special[name]);
    if (id !== undefined) add({ content: special[name], special: true }, id, "vocab.txt");
  }
  if (Array.isArray(tokenizer?.added_tokens))
    for (const token of tokenizer.added_tokens) add(token, object(token).id, "tokenizer.json");
  for (const [id, token] of Object.entries(object(config.added_tokens_decoder)))
    add(token, Number(id), "tokenizer_config.json");
  return [...byContent.values()].sort((a, b) => a.id - b.id);
}

function filesOf(files: ReadonlyMap<string, string>, settings: Settings): Map<string, string> {
  const { vocabulary, added, special } = settings;
  const tokens: string[] = [];
  for (const [token, id] of vocabulary) tokens[id] = token;
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  const id = (token: string) => vocabulary.get(token)!;
  const known = SPECIAL_NAMES.filter((name) => vocabulary.has(special[name]));
  const template = (token: SpecialName, type_id: number) => ({ SpecialToken: { id: special[token], type_id } });
  const sequence = (name: string, type_id: number) => ({ Sequence: { id: name, type_id } });
  const single = [template("cls_token", 0), sequence("A", 0), template("sep_token", 0)];
  const derived: [string, () => string][] = [
    [
      "tokenizer.json",
      () =>
        json({
          version: "1.0",
          truncation: null,
          padding: null,
          added_tokens: added.map(({ id: tokenId, ...rest }) => ({ id: tokenId, ...rest })),
          normalizer: {
            type: "BertNormalizer",
            clean_text: settings.cleanText,
            handle_chinese_chars: settings.splitIdeographs,
            strip_accents: settings.stripAccents,
            lowercase: settings.lowercase,
          },
          pre_tokenizer: { type: "BertPreTokenizer" },
          post_processor: {
            type: "TemplateProcessing",
            single,
            pair: [...single, sequence("B", 1), template("sep_token", 1)],
            special_tokens: Object.fromEntries(
              [special.cls_token, special.sep_token].map((token) => [
                token,
                { id: token, ids: [id(token)], tokens: [token] },
              ]),
            ),
          },
          decoder: { type: "WordPiece", prefix: settings.prefix, cleanup: true },
          model: {
            type: "WordPiece",
            unk_token: special.unk_token,
            continuing_subword_prefix: settings.prefix,
            max_input_chars_per_word: settings.longestWord,
            vocab: Object.fromEntries(vocabulary),
          },
        }),
    ],
    [
      "tokenizer_config.json",
      () =>
        json({
          tokenizer_class: "BertTokenizer",
          do_lower_case: settings.lowercase,
          strip_accents: settings.stripAccents,
          tokenize_chinese_chars: settings.splitIdeographs,
          ...Object.fromEntries(known.map((name) => [name, special[name]])),
        }),
    ],
    ["special_tokens_map.json", () => json(Object.fromEntries(known.map((name) => [name, special[name]])))],
  ];
  const all = new Map(derived.map(([name, make]) => [name, files.get(name) ?? make()]));
  // Always from the vocabulary in use: a vocab.txt beside tokenizer.json may have other line ends or another age.
  return all.set("vocab.txt", Array.from(tokens, (token) => `${token ?? ""}\n`).join(""));
}

// ------------------------------------------------------------------------------------------------------- encoding

function encoder(settings: Settings): Tokenizer["encode"] {
  const { vocabulary, special, prefix, longestWord } = settings;
  const [cls, sep, unknown] = [special.cls_token, special.sep_token, special.unk_token].map(
    (token) => vocabulary.get(token)!,
  );
  // Longer pieces cannot be found, so a word costs no more than its length times this.
  let longestPiece = 0;
  for (const token of vocabulary.keys()) longestPiece = Math.max(longestPiece, token.length);
  const normalize = normalizer(settings);
  const words = wordSplitter();
  const asWritten = tokenFinder(settings.added.filter(({ normalized }) => !normalized));
  const afterwards = tokenFinder(
    settings.added
      .filter(({ normalized }) => normalized)
      .map((token) => ({ ...token, content: normalize(token.content) })),
  );

  const pieces = (word: string, ids: number[]): void => {
    // A word's length counts code points; UTF-16 is at most twice as long, so most words need no counting.
    if (word.length > longestWord && [...word].length > longestWord) {
      ids.push(unknown);
      return;
    }
    const begin = ids.length;
    for (let start = 0; start < word.length; ) {
      let end = Math.min(word.length, start + longestPiece);
      let id: number | undefined;
      for (; end > start; end--) {
        const piece = word.slice(start, end);
        id = vocabulary.get(start > 0 ? prefix + piece : piece);
        if (id !== undefined) break;
      }
      if (id === undefined) {
        ids.length = begin;
        ids.push(unknown);
        return;
      }
      ids.push(id);
      start = end;
    }
  };

  const tokenize = (text: string): number[] => {
    const ids: number[] = [];
    for (const section of asWritten(text)) {
      if (typeof section === "number") ids.push(section);
      else {
        for (const part of afterwards(normalize(section))) {
          if (typeof part === "number") ids.push(part);
          else for (const word of words(part)) pieces(word, ids);
        }
      }
    }
    return ids;
  };

  return (text, pair, maxLength = Number.POSITIVE_INFINITY) => {
    const specials = pair === undefined ? 2 : 3;
    if (!(maxLength >= specials)) {
      throw new LimbeckError(
        "MAX_LENGTH",
        `a ${pair === undefined ? "text" : "pair"} needs room for ${specials} special tokens, the length is ${maxLength}`,
      );
    }
    const room = maxLength - specials;
    const a = tokenize(text);
    const b = pair === undefined ? [] : tokenize(pair);
    const [keepA, keepB] = pair === undefined ? [Math.min(a.length, room), 0] : longestFirst(a.length, b.length, room);
    const truncated = keepA < a.length || keepB < b.length;
    const first = [cls, ...a.slice(0, keepA), sep];
    const second = pair === undefined ? [] : [...b.slice(0, keepB), sep];
    const segments = [...first.map(() => 0), ...second.map(() => 1)];
    return { ids: first.concat(second), segments, truncated };
  };
}

/** How much of two texts fits: the shorter keeps all it can; when both must be cut, the longer gets an odd token. */
function longestFirst(a: number, b: number, room: number): [number, number] {
  if (a + b <= room) return [a, b];
  if (a > b) return longestFirst(b, a, room).reverse() as [number, number];
  const kept = Math.min(a, Math.floor(room / 2));
  return [kept, room - kept];
}

function normalizer(settings: Settings): (text: string) => string {
  const { cleanText, splitIdeographs, lowercase } = settings;
  const strip = settings.stripAccents ?? lowercase;
  const isRemoved = codePointTest(REMOVED);
  const isSpace = codePointTest(SPACES);
  const isIdeograph = codePointTest(IDEOGRAPHS);
  const isMark = codePointTest(MARKS);
  const isUndecomposed = codePointTest(UNDECOMPOSED);

  const clean = (text: string): string => {
    let out = "";
    for (const character of text) {
      const code = character.codePointAt(0)!;
      // A lone surrogate is no character, and no other implementation can even be asked about it.
      if (code >= 0xd800 && code < 0xe000) continue;
      if (cleanText && isRemoved(code)) continue;
      if (splitIdeographs && isIdeograph(code)) out += ` ${character} `;
      else out += cleanText && isSpace(code) ? " " : character;
    }
    return out;
  };

  const stripAccents = (text: string): string => {
    let decomposed = "";
    let start = 0;
    for (let i = 0; i < text.length; i++) {
      const code = text.codePointAt(i)!;
      if (code < 0x10000) continue;
      if (isUndecomposed(code)) {
        decomposed += text.slice(start, i).normalize("NFD") + text.slice(i, i + 2);
        start = i + 2;
      }
      i++;
    }
    decomposed += text.slice(start).normalize("NFD");
    let out = "";
    for (const character of decomposed) if (!isMark(character.codePointAt(0)!)) out += character;
    return out;
  };

  return (text) => {
    let out = text;
    // Printable ASCII has nothing to clean, split or strip.
    if (!/^[ -~]*$/.test(text)) {
      out = clean(out);
      if (strip) out = stripAccents(out);
    }
    // Character by character, as the original: the one rule of toLowerCase that looks around is the final sigma's.
    return lowercase ? out.replaceAll("Σ", "σ").toLowerCase() : out;
  };
}

function wordSplitter(): (text: string) => string[] {
  const isSpace = codePointTest(SPACES);
  const isPunctuation = codePointTest(PUNCTUATION);
  return (text) => {
    const words: string[] = [];
    let start = 0;
    for (let i = 0; i < text.length; ) {
      const code = text.codePointAt(i)!;
      const next = i + (code > 0xffff ? 2 : 1);
      const punctuation = isPunctuation(code);
      if (punctuation || isSpace(code)) {
        if (i > start) words.push(text.slice(start, i));
        if (punctuation) words.push(text.slice(i, next));
        start = next;
      }
      i = next;
    }
    if (start < text.length) words.push(text.slice(start));
    return words;
  };
}

/**
 * Cuts a text at tokens that are taken whole, such as "[SEP]": the leftmost, and of those the longest. A section is
 * text, or the id of such a token. lstrip and rstrip change nothing here: white space is dropped anyway.
 */
function tokenFinder(tokens: AddedToken[]): (text: string) => (string | number)[] {
  // By their UTF-16 units, so that those with one beginning stand together, the shortest first. One regular expression of all tokens would try
  // each of them at each place, and has a largest size.
  const byContent = new Map(tokens.map((token) => [token.content, token]));
  byContent.delete("");
  const firsts = new Set([...byContent.keys()].map((content) => content.charCodeAt(0)));
  const sorted = [...byContent.values()].sort((a, b) => (a.content < b.content ? -1 : a.content > b.content ? 1 : 0));
  /** The first from `low` whose unit at `depth` is at least this one; what ends before has none. */
  const bound = (low: number, high: number, depth: number, unit: number): number => {
    let [from, to] = [low, high];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (sorted[middle].content.charCodeAt(depth) >= unit) to = middle;
      else from = middle + 1;
    }
    return from;
  };
  const longest = (text: string, start: number): AddedToken | undefined => {
    let found: AddedToken | undefined;
    let [low, high] = [0, sorted.length];
    for (let depth = 0; start + depth < text.length; depth++) {
      const unit = text.charCodeAt(start + depth);
      low = bound(low, high, depth, unit);
      high = bound(low, high, depth, unit + 1);
      if (low === high) break;
      if (sorted[low].content.length === depth + 1) found = sorted[low];
    }
    return found;
  };
  const wordCharacter = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
  const isWordAt = (text: string, at: number) =>
    at >= 0 && at < text.length && wordCharacter.test(String.fromCodePoint(text.codePointAt(at) as number));
  /** Where the character begins that ends before `at`. */
  const before = (text: string, at: number) => ((text.codePointAt(at - 2) as number) > 0xffff ? at - 2 : at - 1);
  return (text) => {
    if (sorted.length === 0) return [text];
    const sections: (string | number)[] = [];
    let start = 0;
    for (let at = 0; at < text.length; ) {
      const token = firsts.has(text.charCodeAt(at)) ? longest(text, at) : undefined;
      const end = at + (token?.content.length ?? 1);
      if (token && !(token.single_word && (isWordAt(text, before(text, at)) || isWordAt(text, end)))) {
        if (at > start) sections.push(text.slice(start, at));
        sections.push(token.id);
        start = end;
      }
      at = end;
    }
    if (start < text.length) sections.push(text.slice(start));
    return sections;
  };
}

/** Membership in a table of unicode.ts: ASCII by look-up, the rest by halving. */
function codePointTest(table: string): (code: number) => boolean {
  const bounds = table.split(" ").flatMap((range) => {
    const [from, to = from] = range.split("-");
    return [Number.parseInt(from, 16), Number.parseInt(to, 16) + 1];
  });
  const halve = (code: number): boolean => {
    // The number of bounds at or below the code is odd inside a range.
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (bounds[middle] <= code) low = middle + 1;
      else high = middle;
    }
    return low % 2 === 1;
  };
  const ascii = Array.from({ length: 128 }, (_, code) => halve(code));
  return (code) => (code < 128 ? ascii[code] : halve(code));
}
