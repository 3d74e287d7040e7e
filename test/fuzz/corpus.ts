// What fuzzing begins with, by target, and what it has found: a name says what was wrong. All of it is run in every test.

import { serializeSafetensors } from "../../src/formats/safetensors.ts";
import { serializeRecipe } from "../../src/recipes/file.ts";
import { recipes } from "../../src/recipes/index.ts";
import type { Input } from "./mutate.ts";

const bytesOf = (content: string | Uint8Array) =>
  typeof content === "string" ? new TextEncoder().encode(content) : content;
const file = (name: string, content: string | Uint8Array): Input => new Map([[name, bytesOf(content)]]);
const folder = (contents: Readonly<Record<string, string | Uint8Array>>): Input =>
  new Map(Object.entries(contents).map(([name, content]) => [name, bytesOf(content)]));
const json = (value: unknown) => JSON.stringify(value);

const tensor = (...shape: number[]) => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i / 8 - 1),
});

/** A safetensors file of this header and so many bytes of data. */
export function tensors(header: string, data = 0): Uint8Array {
  const text = bytesOf(header);
  const bytes = new Uint8Array(8 + text.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const halves = tensors(
  json({
    a: { dtype: "F16", shape: [2, 2], data_offsets: [0, 8] },
    b: { dtype: "BF16", shape: [3], data_offsets: [8, 14] },
    c: { dtype: "F64", shape: [], data_offsets: [14, 22] },
    __metadata__: { format: "pt" },
  }),
  22,
);

export const BERT = {
  model_type: "bert",
  ...{ vocab_size: 9, hidden_size: 4, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 8 },
  ...{ hidden_act: "gelu", hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1, max_position_embeddings: 40 },
  ...{ type_vocab_size: 2, initializer_range: 0.02, layer_norm_eps: 1e-12, pad_token_id: 0 },
  id2label: { 0: "no", 1: "yes" },
  label2id: { no: 0, yes: 1 },
};
const DISTILBERT = {
  model_type: "distilbert",
  ...{ vocab_size: 9, dim: 4, n_layers: 1, n_heads: 2, hidden_dim: 8, activation: "gelu", dropout: 0.1 },
  ...{ attention_dropout: 0.1, seq_classif_dropout: 0.2, max_position_embeddings: 40, initializer_range: 0.02 },
  ...{ pad_token_id: 0, sinusoidal_pos_embds: false, num_labels: 3 },
};

const WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "fox", "##x", "é"];
const added = (content: string, id: number, more = {}) => ({
  ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  ...more,
});
const TOKENIZER = {
  version: "1.0",
  added_tokens: WORDS.slice(0, 5).map((word, id) => added(word, id)),
  normalizer: {
    type: "BertNormalizer",
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: "BertPreTokenizer" },
  post_processor: {
    type: "TemplateProcessing",
    single: [
      { SpecialToken: { id: "[CLS]", type_id: 0 } },
      { Sequence: { id: "A", type_id: 0 } },
      { SpecialToken: { id: "[SEP]", type_id: 0 } },
    ],
    pair: [
      { SpecialToken: { id: "[CLS]", type_id: 0 } },
      { Sequence: { id: "A", type_id: 0 } },
      { SpecialToken: { id: "[SEP]", type_id: 0 } },
      { Sequence: { id: "B", type_id: 1 } },
      { SpecialToken: { id: "[SEP]", type_id: 1 } },
    ],
  },
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])),
  },
};
const TOKENIZER_CONFIG = {
  tokenizer_class: "BertTokenizer",
  do_lower_case: true,
  added_tokens_decoder: { 4: added("[MASK]", 4) },
  mask_token: "[MASK]",
};
const VOCABULARY = `${WORDS.join("\n")}\n`;

const shards = {
  "config.json": json(BERT),
  "vocab.txt": VOCABULARY,
  "model.safetensors.index.json": json({
    metadata: { total_size: 48 },
    weight_map: { "classifier.bias": "model-1.safetensors", "classifier.weight": "model-2.safetensors" },
  }),
  "model-1.safetensors": serializeSafetensors(new Map([["classifier.bias", tensor(2)]])),
  "model-2.safetensors": serializeSafetensors(new Map([["classifier.weight", tensor(2, 4)]])),
};
const whole = {
  "config.json": json(BERT),
  "tokenizer.json": json(TOKENIZER),
  "model.safetensors": serializeSafetensors(
    new Map([
      ["bert.embeddings.LayerNorm.gamma", tensor(4)],
      ["embeddings.position_ids", tensor(1, 4)],
      ["cls.predictions.bias", tensor(9)],
      ["classifier.weight", tensor(2, 4)],
    ]),
  ),
};

const STATE = {
  ...{ format: "limbeck checkpoint 1", limbeck: "0.1.0", step: 5, before: 0, stage: "task" },
  loop: {
    step: 5,
    epoch: 0,
    batch: 5,
    tokens: 400,
    skipped: 0,
    evaluatedAt: 0,
    metrics: { accuracy: 0.5 },
    seconds: 1.5,
  },
  ...{ microBatches: 5, clock: { beta1: 0.59 }, events: [{ type: "step", step: 5 }], notes: ["a note"], seconds: 0 },
  ...{ numerics: "strict", identity: { seed: 1 } },
};
const checkpoint = {
  "model.safetensors": serializeSafetensors(new Map([["classifier.bias", tensor(2)]])),
  "optimizer.safetensors": serializeSafetensors(new Map([["m/student/classifier.bias", tensor(2)]])),
  "trainer_state.json": json(STATE),
  "manifest.json": json({
    format: "limbeck checkpoint 1",
    files: {
      "model.safetensors": { bytes: 1, sha256: "0" },
      "optimizer.safetensors": { bytes: 1, sha256: "0" },
      "trainer_state.json": { bytes: 1, sha256: "0" },
    },
  }),
};

const rows = (lines: readonly string[]) => `${lines.join("\n")}\n`;
const jsonl = rows([
  '{"text": "a b", "label": "yes", "tags": "DT NN", "p0": 0.25, "p1": 0.75}',
  '{"text": "c \\u00e9 \\n", "label": null, "tags": "X Y", "p0": 1, "p1": 0}',
  '{"label": 1, "text": "d"}',
]);

export const corpus: Readonly<Record<string, Readonly<Record<string, Input>>>> = {
  safetensors: {
    floats: file(
      "m.safetensors",
      serializeSafetensors(
        new Map([
          ["w", tensor(2, 3)],
          ["b", tensor(0, 4)],
          ["s", tensor()],
        ]),
      ),
    ),
    "other floats": file("m.safetensors", halves),
    empty: file("m.safetensors", tensors("{}")),
    pointer: file("m.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 90868376\n"),
  },
  json: {
    "every kind": file(
      "x.json",
      '{"a": [1, -0.5e3, true, null, "\\u00e9\\ud83d\\ude00\\n"], "__proto__": {}, "": []} ',
    ),
    "a number": file("x.json", " 12 "),
  },
  config: {
    bert: file("config.json", json(BERT)),
    distilbert: file("config.json", json(DISTILBERT)),
    "made a name for each of 10^9 labels": file("config.json", json({ ...DISTILBERT, num_labels: 1e9 })),
    "RangeError of 2^53 labels": file("config.json", json({ ...DISTILBERT, num_labels: Number.MAX_SAFE_INTEGER })),
  },
  tokenizer: {
    "took gigabytes up to an id of 2^31": folder({
      "tokenizer.json": json({ ...TOKENIZER, added_tokens: [added("x", 2147483648)] }),
    }),
    "RangeError of an id of 2^32": folder({
      "tokenizer.json": json({
        ...TOKENIZER,
        model: { ...TOKENIZER.model, vocab: { ...TOKENIZER.model.vocab, x: 4294967296 } },
      }),
    }),
    "took a negative id": folder({ "tokenizer.json": json({ ...TOKENIZER, added_tokens: [added("x", -5)] }) }),
    "TypeError of an object as a text": folder({
      "tokenizer.json": json({ ...TOKENIZER, normalizer: { type: { toString: 1, valueOf: 1 } } }),
    }),
    "left added tokens out that are none": folder({
      "tokenizer.json": json({ ...TOKENIZER, added_tokens: [{ id: 3 }, 7] }),
    }),
    "made every word unknown": folder({
      "tokenizer.json": json({ ...TOKENIZER, model: { ...TOKENIZER.model, max_input_chars_per_word: -1 } }),
    }),
    "regular expression too large": folder({
      "tokenizer.json": json({
        ...TOKENIZER,
        added_tokens: Array.from({ length: 3000 }, (_, i) => added(`${i}`.repeat(99), i)),
      }),
    }),
    "tokenizer.json": folder({ "tokenizer.json": json(TOKENIZER) }),
    "all files": folder({
      "tokenizer.json": json({
        ...TOKENIZER,
        added_tokens: [...TOKENIZER.added_tokens, added("new word", 9, { special: false })],
      }),
      "tokenizer_config.json": json(TOKENIZER_CONFIG),
      "special_tokens_map.json": json({ unk_token: { content: "[UNK]" }, mask_token: "[MASK]" }),
      "vocab.txt": VOCABULARY,
    }),
  },
  vocabulary: {
    "took an id of 1e308": folder({
      "vocab.txt": VOCABULARY,
      "tokenizer_config.json": `{"added_tokens_decoder":{"1e308":${json(added("x", 1))}}}`,
    }),
    plain: folder({ "vocab.txt": VOCABULARY }),
    "CR LF": folder({
      "vocab.txt": VOCABULARY.replaceAll("\n", "\r\n"),
      "tokenizer_config.json": json(TOKENIZER_CONFIG),
    }),
  },
  csv: {
    plain: file("x.csv", "text,label\nab,yes\ncd,no\n"),
    quoted: file("x.csv", 'sentence,label\n"a, ""b""\nc",yes\nd,no\r\n\n'),
    soft: file("x.csv", "text,p0,p1,label\na b,0.5,0.5,0\nc,1,0,1\n"),
  },
  tsv: {
    pairs: file("x.tsv", 'sentence1\tsentence2\tscore\na "b\tc\t0.5\nd\te\t1\n'),
    labels: file("x.tsv", "text\tlabel\ttags\na b\tno\tDT NN\nc\tyes\tX\n\nd\t1\tX\n"),
    "no header": file("x.txt", "a b\t1\nc\t0\n"),
  },
  jsonl: {
    rows: file("x.jsonl", jsonl),
    "stack overflow in the message": file("x.jsonl", `{"text": ${"[".repeat(20_000)}${"]".repeat(20_000)}}\n`),
    "the last of two texts was taken": file("x.jsonl", '{"text": "a", "text": "b"}\n'),
  },
  recipe: {
    ...Object.fromEntries(
      ["kd", "pkd-skip", "tinybert", "minilm-v2", "bilstm", "mobilebert", "distilbert"].map((name) => [
        name,
        file("r.json", serializeRecipe(recipes[name as keyof typeof recipes])),
      ]),
    ),
    "TypeError of a stage that nobody had looked at": file(
      "r.json",
      '{"name":"a","summary":"b","stages":{"s":{"terms":{"t":{"loss":"labels"}}},"constructor":{}}}',
    ),
    "a message far longer than the file": file(
      "r.json",
      json({
        ...{ name: "a", summary: "b" },
        stages: {
          s: { terms: Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`t${i}`, { loss: 1, of: 1 }])) },
        },
      }),
    ),
    "TypeError of an object as a name": file(
      "r.json",
      '{"name":"a","summary":"b","stages":{"s":{"terms":{"t":{"loss":"mse","of":"embedding","project":{}}}}}}',
    ),
  },
  folder: { whole: folder(whole), shards: folder(shards) },
  vectors: {
    glove: file("v.txt", "the 0.5 -1 2e-3\nfox 1 2 3\n. . . 1 2 3\n"),
    word2vec: file("v.txt", "2 3\nthe 0.5 -1 2\nfox 1 2 3\n"),
  },
  checkpoint: { whole: folder(checkpoint) },
  arguments: {
    distill: file(
      "args",
      "distill\n--teacher\na,b\n--student\nbert:4x312x12x1200\n--train\nt.tsv\n--out=o\n--temperature\n4:1:cosine\n--stage\ntask.epochs=2\n--layer-map\n1,2\n--no-header\n--json",
    ),
    finetune: file(
      "args",
      "finetune\n--model\nm\n--train\nt\n--out\no\n--learning-rate\n1e-4\n--epochs\n3\n--optimizer\nadamw\n--overwrite",
    ),
    students: file(
      "args",
      "plan\n--student\nlayers:0,2,4\n--assistant\nmobilebert:6x256x64x4x256x4\n--gpu-features\nnone\n--seed\n7",
    ),
    predict: file("args", "predict\n--model\nm\n--pair\na\nb"),
    recipes: file("args", "recipes\nkd"),
  },
  options: {
    some: file(
      "run.json",
      json({
        "learning-rate": 1e-4,
        batchSize: 8,
        stage: { task: { epochs: 2 } },
        temperature: { from: 4, to: 1, curve: "linear" },
        "text-column": 0,
        text: ["a", "b"],
        layer_map: [1, 2],
        student: "layers:3",
        overwrite: true,
        gpuFeatures: [],
      }),
    ),
  },
};
