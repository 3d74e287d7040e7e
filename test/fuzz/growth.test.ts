// Twice the input is twice the work, counted and not timed: how often V8 ran each block of src/ (precise coverage), and what the built-in
// functions that scan were given to look through. Inputs are one part repeated: where a parser went over something again and again, it
// would be four times the work.

import { Session } from "node:inspector/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { parseWordVectors } from "../../src/formats/vectors.ts";
import { BERT, tensors } from "./corpus.ts";
import { judge } from "./fuzz.ts";
import type { Input } from "./mutate.ts";
import { makeTargets } from "./targets.ts";

const session = new Session();
beforeAll(async () => {
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
});
afterAll(() => session.disconnect());

/** Characters that built-in functions looked at, as far as their results tell. */
let scanned = 0;

/** Counts what a scan may cost: to where it found something, or all. */
function countScans(): () => void {
  const restore: (() => void)[] = [];
  const watch = <T extends object>(
    prototype: T,
    name: string,
    cost: (self: T, args: unknown[], result: unknown, before: number) => number,
  ) => {
    const own = (prototype as Record<string, unknown>)[name] as (...args: unknown[]) => unknown;
    const put = (value: unknown) =>
      Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
    put(function counted(this: T, ...args: unknown[]) {
      const before = Number((this as Partial<RegExp>).lastIndex);
      const result = own.apply(this, args);
      scanned += cost(this, args, result, before);
      return result;
    });
    restore.push(() => put(own));
  };
  const search = ({ length }: { length: number }, [, from = 0]: unknown[], result: unknown) =>
    (result === -1 ? length : (result as number)) - (from as number);
  const whole = ({ length }: { length: number }) => length;
  watch(String.prototype, "indexOf", search);
  watch(Uint8Array.prototype, "indexOf", search);
  watch(Array.prototype, "indexOf", search);
  for (const name of ["split", "includes", "trim", "toLowerCase", "normalize", "replace", "replaceAll"])
    watch(String.prototype, name, whole);
  watch(Array.prototype, "includes", whole);
  watch(Array.prototype, "join", whole);
  watch(RegExp.prototype, "test", ({ sticky, lastIndex }: RegExp, [text], _, before) =>
    sticky ? lastIndex - before : String(text).length,
  );
  // A key is hashed.
  watch(Map.prototype, "get", (_, [key]) => (typeof key === "string" ? key.length : 1));
  return () => {
    for (const undo of restore) undo();
  };
}

async function workOf(run: () => unknown): Promise<number> {
  await session.post("Profiler.takePreciseCoverage");
  scanned = 0;
  const restore = countScans();
  try {
    await run();
  } finally {
    restore();
  }
  const { result } = await session.post("Profiler.takePreciseCoverage");
  let blocks = 0;
  for (const { url, functions } of result)
    if (url.includes("/src/")) for (const { ranges } of functions) for (const { count } of ranges) blocks += count;
  return blocks + scanned;
}

const SIZE = 2000;

/** What `work` does of n and of 2n parts; more than 2.5 is no line, 4 is a square. */
async function growth(work: (n: number) => unknown): Promise<number> {
  // The first call makes tables and the like.
  await work(10);
  const once = await workOf(() => work(SIZE));
  const twice = await workOf(() => work(2 * SIZE));
  expect(once).toBeGreaterThan(SIZE / 50);
  return twice / once;
}

const targets = makeTargets();
const encode = (text: string) => new TextEncoder().encode(text);

const config = JSON.stringify(BERT)
  .slice(0, -1)
  .replace(/,"id2label".*/, "");

const repeated: Readonly<
  Record<string, readonly [name: string, before: string, part: string | ((i: number) => string), after: string][]>
> = {
  json: [
    ["x.json", "[", "1,", "1]"],
    ["x.json", "[", "{},", "1]"],
    ["x.json", '"', "\\u00e9", '"'],
    ["x.json", '"', "a", '"'],
    ["x.json", "{", (i) => `"k${i}":1,`, '"":1}'],
    ["x.json", "", "[", ""],
    ["x.json", "", " \n", "?"],
  ],
  config: [
    ["config.json", `${config},"id2label":{`, (i) => `"${i}":"l${i}",`, '"x":"y"}}'],
    ["config.json", `${config},"label2id":{`, (i) => `"l${i}":${i},`, '"x":-1}}'],
  ],
  csv: [
    ["x.csv", "text\n", "a\n", ""],
    ["x.csv", "text,label\n", "a,1\n", ""],
    ["x.csv", "text,label\n", ",", "\n"],
    ["x.csv", "text,label\n", '"a",1\r\n', ""],
    ["x.csv", 'text,label\n"', '""', '",1\n'],
    ["x.csv", 'text,label\n"', "a\n", '",1\n'],
    ["x.csv", "text,label\n", '"', ""],
    ["x.csv", "text,label\n", 'a"\n', ""],
    ["x.csv", "text,label\n", '"a"b\n', ""],
    ["x.csv", "", (i) => `c${i},`, "text\na\n"],
  ],
  tsv: [
    ["x.tsv", "text\tlabel\n", "a\t1\n", ""],
    ["x.tsv", "text\tlabel\n", "\t", "\n"],
    ["x.tsv", "text\tlabel\n", " \n", "a\t1\n"],
    ["x.tsv", "text\tlabel\n", (i) => `a\tl${i}\n`, ""],
    ["x.tsv", "text\n", "\r", ""],
    ["x.tsv", "text\n", "a\u0000\n", ""],
  ],
  jsonl: [
    ["x.jsonl", "", '{"text":"a"}\n', ""],
    ["x.jsonl", "", (i) => `{"text":"a","k${i}":1}\n`, ""],
    ["x.jsonl", '{"text":', "[", "}\n"],
  ],
  recipe: [
    ["r.json", '{"name":"a","summary":"b","stages":{', (i) => `"s${i}":{"terms":{"t":{"loss":"labels"}}},`, '"z":1}}'],
  ],
  tokenizer: [
    ["tokenizer.json", '{"added_tokens":[', (i) => `{"id":${i},"content":"t${i}"},`, "{}]}"],
    ["tokenizer.json", '{"model":{"type":"WordPiece","vocab":{', (i) => `"t${i}":${i},`, '"[UNK]":-1}}}'],
  ],
  vocabulary: [["vocab.txt", "[UNK]\n[CLS]\n[SEP]\n", (i) => `t${i}\n`, ""]],
  vectors: [
    ["v.txt", "2 3\n", "the 1 2 3\n", ""],
    ["v.txt", "the", " 1", "\n"],
  ],
  arguments: [["args", "distill\n", "--text\na\n", ""]],
};

describe("work grows as the input does", () => {
  for (const [name, forms] of Object.entries(repeated))
    for (const [file, before, part, after] of forms) {
      const partOf = (i: number) => (typeof part === "string" ? part : part(i));
      const input = (n: number): Input =>
        new Map([[file, encode(before + Array.from({ length: n }, (_, i) => partOf(i)).join("") + after)]]);
      test(`${name}: ${JSON.stringify(before)}, then many ${JSON.stringify(partOf(0))}`, async () => {
        expect((await judge(targets[name], input(10))).wrong).toBeUndefined();
        expect(await growth((n) => judge(targets[name], input(n)))).toBeLessThan(2.5);
      });
    }

  test("safetensors: tensors, metadata and extents [F1]", async () => {
    const forms: ((n: number) => string)[] = [
      (n) =>
        `{${Array.from({ length: n }, (_, i) => `"t${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`).join()}}`,
      (n) => `{"__metadata__":{${Array.from({ length: n }, (_, i) => `"m${i}":""`).join()}}}`,
      (n) => `{"t":{"dtype":"F32","shape":[${Array(n).fill(1).join()}],"data_offsets":[0,4]}}`,
    ];
    for (const header of forms)
      expect(await growth((n) => judge(targets.safetensors, new Map([["m", tensors(header(n), 4)]])))).toBeLessThan(
        2.5,
      );
  });

  test("word vectors that nobody wants, in lines without a space", async () => {
    expect(
      await growth((n) => parseWordVectors(encode(`the 1\n${"w\n".repeat(n)}`), "v.txt", () => false)),
    ).toBeLessThan(2.5);
  });

  const vocabulary = (...more: string[]) => ["[UNK]", "[CLS]", "[SEP]", "a", "##a", "b", ...more].join("\n");
  const texts: Readonly<Record<string, string>> = {
    words: "a b ",
    "one word": "a",
    signs: "!",
    accents: "a\u0301",
    ideographs: "你",
    specials: "[SEP]",
  };
  test.each(Object.entries(texts))("encoding a long text of %s", async (_, part) => {
    const { encode } = loadTokenizer(new Map([["vocab.txt", vocabulary()]]));
    expect(await growth((n) => encode(part.repeat(n), undefined, 64))).toBeLessThan(2.5);
  });

  test("a tokenizer whose words may be of any length, and one whose added tokens stand alone", async () => {
    const plain = loadTokenizer(new Map([["vocab.txt", vocabulary("[MASK]")]]));
    const given = JSON.parse(plain.files.get("tokenizer.json") as string);
    given.model.max_input_chars_per_word = 1_000_000;
    given.added_tokens.push({ id: 5, content: "b", single_word: true, special: true });
    const { encode } = loadTokenizer(new Map([["tokenizer.json", JSON.stringify(given)]]));
    expect(await growth((n) => encode("a".repeat(n)))).toBeLessThan(2.5);
    expect(await growth((n) => encode("bb".repeat(n)))).toBeLessThan(2.5);
  });

  test("this would be seen: a search that begins anew at every place", async () => {
    expect(
      await growth((n) =>
        Array.from({ length: n }, (_, i) => "a".repeat(n).indexOf("b", i)).concat([
          judge(targets.json, new Map()) as never,
        ]),
      ),
    ).toBeGreaterThan(3.5);
  });
});
