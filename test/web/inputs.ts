// What is trained in a page and, for comparison, in Node: a tiny teacher and reviews.

import { grammarTokenizer, writeReviews } from "../../src/cli/grammar.ts";
import { memoryFiles, toBytes } from "../../src/formats/files.ts";
import { writeModelFolder } from "../../src/formats/huggingface.ts";
import { bert } from "../../src/models/bert.ts";
import { freshWeights } from "../../src/train/model.ts";
import { tinyConfig } from "../train/tiny.ts";

/** The files of a BERT of four layers with a classifier. */
export async function teacherFiles(): Promise<Record<string, Uint8Array>> {
  const tokenizer = grammarTokenizer();
  const config = { ...tinyConfig(4), vocab_size: tokenizer.vocabularySize };
  const files = memoryFiles();
  const weights = freshWeights(config, 1);
  await writeModelFolder(files, { config, format: bert, weights, tokenizerFiles: tokenizer.files, readme: "" });
  const contents: Record<string, Uint8Array> = {};
  for (const name of await files.list()) contents[name] = await files.read(name);
  return contents;
}

export function reviews(count: number): { name: string; bytes: Uint8Array } {
  const rows = writeReviews(1, "train", count).map(
    ({ text, label }) => `${text}\t${label === "positive" ? "yes" : "no"}\n`,
  );
  return { name: "train.tsv", bytes: toBytes(`sentence\tlabel\n${rows.join("")}`) };
}

export const OPTIONS = {
  student: "layers:2",
  recipe: "pkd-skip",
  batchSize: 8,
  epochs: 2,
  loggingSteps: 2,
  seed: 7,
  device: "wasm",
} as const;
