// A tiny BERT folder and reviews in a temporary folder: what the tests of the command and of the plan work on.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { grammarTokenizer, writeReviews } from "../../src/cli/grammar.ts";
import { labelMaps } from "../../src/formats/config.ts";
import { writeModelFolder } from "../../src/formats/huggingface.ts";
import { type BertConfig, bert } from "../../src/models/bert.ts";
import { nodeFiles } from "../../src/runtimes/nodeFiles.ts";
import { freshWeights } from "../../src/train/model.ts";

export interface Tiny {
  readonly folder: string;
  readonly config: BertConfig;
  remove(): Promise<void>;
}

/** base/ (2x32, no classifier), train.tsv of 64 reviews, dev.tsv of 20. */
export async function makeTiny(): Promise<Tiny> {
  const folder = await mkdtemp(join(tmpdir(), "limbeck-"));
  const tokenizer = grammarTokenizer();
  const config: BertConfig = {
    model_type: "bert",
    vocab_size: tokenizer.vocabularySize,
    hidden_size: 32,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 64,
    hidden_act: "gelu",
    hidden_dropout_prob: 0.1,
    attention_probs_dropout_prob: 0.1,
    classifier_dropout: null,
    max_position_embeddings: 64,
    type_vocab_size: 2,
    initializer_range: 0.1,
    layer_norm_eps: 1e-12,
    pad_token_id: 0,
    position_embedding_type: "absolute",
    ...labelMaps(["a", "b"]),
    problem_type: null,
  };
  const weights = new Map([...freshWeights(config, 1)].filter(([path]) => !path.startsWith("classifier.")));
  await writeModelFolder(nodeFiles(join(folder, "base")), {
    ...{ config, format: bert, weights },
    tokenizerFiles: tokenizer.files,
    readme: "",
  });
  const dev = writeReviews(1, "dev", 20);
  const write = (name: string, reviews: typeof dev) =>
    writeFile(
      join(folder, name),
      `sentence\tlabel\n${reviews.map(({ text, label }) => `${text}\t${label}\n`).join("")}`,
    );
  await write("dev.tsv", dev);
  await write("train.tsv", writeReviews(1, "train", 64, dev));
  return { folder, config, remove: () => rm(folder, { recursive: true, force: true }) };
}
