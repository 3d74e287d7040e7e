// The parsers that are fuzzed: of each, the inputs to begin with (those of corpus.ts) and what is done with one. What is accepted is used as far
// as it can hurt: texts are encoded, what can be written is written and read again.

import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CommanderError } from "commander";
import { limbeck } from "../../src/cli/limbeck.ts";
import { type Resolved, resolveOptions } from "../../src/cli/options.ts";
import { commonOptions } from "../../src/cli/training.ts";
import { type DatasetOptions, readDataset } from "../../src/data/dataset.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { decodeUtf8, memoryFiles, readText } from "../../src/formats/files.ts";
import { readModelFolder } from "../../src/formats/huggingface.ts";
import { parseJson } from "../../src/formats/json.ts";
import { parseSafetensors, serializeSafetensors, toFloat32 } from "../../src/formats/safetensors.ts";
import { portableTokenizerFiles, TOKENIZER_FILES } from "../../src/formats/tokenizerFiles.ts";
import { parseWordVectors } from "../../src/formats/vectors.ts";
import { families, parseConfig, serializeConfig } from "../../src/models/index.ts";
import { parseRecipe, serializeRecipe } from "../../src/recipes/file.ts";
import { readCheckpoint } from "../../src/train/checkpoint.ts";
import { checkNumbers } from "../../src/train/options.ts";
import { parseStudent } from "../../src/train/student.ts";
import type { Input } from "./mutate.ts";

const encoder = new TextEncoder();

/** A reader of one file. */
function ofFile(read: (bytes: Uint8Array, name: string) => unknown) {
  return async (input: Input): Promise<unknown> => {
    const all: unknown[] = [];
    for (const [name, bytes] of input) all.push(await read(bytes, name));
    return all;
  };
}

const textOf = (bytes: Uint8Array, name: string) => decodeUtf8(bytes, name, "NOT_UTF8");
const folderOf = (input: Input) => memoryFiles(Object.fromEntries(input), "folder");

/** What must hold of accepted input; a failure of this is a failure of the parser. */
function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(`accepted, but ${what}`);
}

const TEXTS = ["", "the quick brown fox ", "a[MASK]b [SEP] [CLS]", "x".repeat(300), "é😀你\u0301ßΣ\ud800", "…\0\u2028"];

function tokenizer(files: ReadonlyMap<string, string>): unknown {
  const loaded = loadTokenizer(files);
  const { encode, vocabularySize, padId, maskId, specialIds, files: derived } = loaded;
  for (const text of TEXTS) {
    const { ids, segments } = encode(text, text === "" ? "pair" : undefined, 40);
    must(ids.length === segments.length && ids.length <= 40, "an encoding is too long");
    for (const id of [...ids, ...specialIds, padId, maskId ?? 0])
      must(Number.isInteger(id) && id >= 0 && (id < vocabularySize || id === padId), `it has the id ${id}`);
  }
  // What is handed on reads back as the same tokenizer.
  const portable = portableTokenizerFiles(derived, 128, "BertTokenizer");
  const again = loadTokenizer(portable);
  must(again.vocabularySize === vocabularySize, "its files have another vocabulary");
  for (const text of TEXTS)
    must(String(again.encode(text).ids) === String(encode(text).ids), "its files have other ids");
  return loaded;
}

async function tokenizerFolder(input: Input): Promise<unknown> {
  const files = folderOf(input);
  const texts = new Map<string, string>();
  for (const name of TOKENIZER_FILES) if (input.has(name)) texts.set(name, await readText(files, name));
  return tokenizer(texts);
}

const OPTIONS: readonly DatasetOptions[] = [
  {},
  { skipBad: 1000 },
  { skipBad: 3, label2id: { no: 0, yes: 1 } },
  { task: "regression", skipBad: 1000 },
  { header: false, textColumn: 0, labelColumn: 1, skipBad: 1000 },
  { softLabels: { columns: ["p0", "p1"] }, skipBad: 1000 },
  { textColumn: "text", tagColumn: "tags", skipBad: 1000 },
  { encoding: "utf-16le" },
];

/** The length decides which options: all have their turn. */
async function table(input: Input): Promise<unknown> {
  const all: unknown[] = [];
  for (const [name, bytes] of input) {
    const dataset = await readDataset(bytes, name, OPTIONS[bytes.length % OPTIONS.length]);
    const { examples, label2id, kind } = dataset;
    all.push(dataset);
    must(examples.length > 0, "it has no example");
    const classes = new Set(Object.values(label2id ?? {}));
    for (const { text, pair, label } of examples) {
      must(text.trim() !== "" && pair?.trim() !== "", "a text is empty");
      must(label === undefined || Number.isFinite(label), `a label is ${label}`);
      must(label === undefined || kind === "regression" || classes.has(label), `${label} is the label of no class`);
    }
  }
  return all;
}

/** As a damaged disk would leave it, or as somebody would who can compute a SHA-256. */
async function checkpoint(input: Input): Promise<unknown> {
  const all: unknown[] = [];
  const sealed = new Map(input);
  const files: Record<string, { bytes: number; sha256: string }> = {};
  for (const [name, bytes] of input)
    if (name !== "manifest.json")
      files[name] = { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
  sealed.set("manifest.json", encoder.encode(JSON.stringify({ format: "limbeck checkpoint 1", files })));
  for (const form of [sealed, input]) {
    const read = await readCheckpoint(folderOf(form));
    must(Number.isSafeInteger(read.step) && Number.isSafeInteger(read.loop.step), "its step is no integer");
    all.push(read);
  }
  return all;
}

/** The command as it is, but that nothing is done. */
function command() {
  const program = limbeck();
  const silent = { writeOut: () => {}, writeErr: () => {} };
  for (const own of [program, ...program.commands]) own.configureOutput(silent);
  for (const own of program.commands) own.action(async () => settle(await resolveOptions(own, [])));
  return program;
}

function settle(options: Resolved): void {
  checkNumbers(commonOptions(options));
  for (const student of [options.student, options.assistant].flat())
    if (typeof student === "string") parseStudent(student);
}

async function parseArguments(args: readonly string[], program: ReturnType<typeof command>): Promise<void> {
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    // The parser's own refusals have a code and an exit code.
    if (!(error instanceof CommanderError && error.exitCode !== undefined)) throw error;
  }
}

/** Returns what it has read. */
export type Target = (input: Input) => Promise<unknown>;

/** By name. The commands need a folder for the file of --config. */
export function makeTargets(): Readonly<Record<string, Target>> {
  const program = command();
  const folder = mkdtempSync(join(tmpdir(), "limbeck-fuzz-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const configFile = join(folder, "run.json");
  return {
    safetensors: ofFile((bytes, name) => {
      const { tensors, metadata } = parseSafetensors(bytes, name);
      const floats = new Map(
        [...tensors].map(([key, tensor]) => [key, { shape: tensor.shape, data: toFloat32(tensor, key) }]),
      );
      const again = parseSafetensors(serializeSafetensors(floats, Object.fromEntries(metadata)), name);
      must(again.tensors.size === tensors.size, "it does not write as it reads");
      return tensors;
    }),
    json: ofFile((bytes, name) => {
      const value = parseJson(textOf(bytes, name), { where: name });
      must(JSON.stringify(value) === JSON.stringify(JSON.parse(textOf(bytes, name))), "JSON.parse reads it otherwise");
      return value;
    }),
    config: ofFile((bytes, name) => {
      const config = parseConfig(textOf(bytes, name), name);
      const text = serializeConfig(config);
      must(serializeConfig(parseConfig(text, "written")) === text, "it does not write as it reads");
      return config;
    }),
    tokenizer: tokenizerFolder,
    vocabulary: tokenizerFolder,
    csv: table,
    tsv: table,
    jsonl: table,
    recipe: ofFile((bytes, name) => {
      const recipe = parseRecipe(textOf(bytes, name), name);
      const text = serializeRecipe(recipe);
      must(serializeRecipe(parseRecipe(text, "written")) === text, "it does not write as it reads");
      return recipe;
    }),
    folder: async (input) => {
      const model = await readModelFolder(folderOf(input), families);
      const { tensors, tokenizerFiles } = model;
      for (const { shape, data } of tensors.values())
        must(shape.reduce((product, extent) => product * extent, 1) === data.length, "a tensor has another size");
      return [model, tokenizer(tokenizerFiles)];
    },
    vectors: ofFile((bytes, name) => {
      const { width, vectors } = parseWordVectors(bytes, name, () => true);
      for (const vector of vectors.values()) must(vector.length === width, "a vector has another width");
      return vectors;
    }),
    checkpoint,
    arguments: ofFile((bytes) => parseArguments(new TextDecoder().decode(bytes).split("\n"), program)),
    options: ofFile((bytes) => {
      writeFileSync(configFile, bytes);
      return parseArguments(["distill", "--config", configFile], program);
    }),
  };
}
