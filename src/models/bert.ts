// BERT with a classification or regression head (Devlin et al. 2019, arXiv:1810.04805), parameter for parameter as
// Hugging Face's BertForSequenceClassification, so that its checkpoints load and ours load there; or with a masked-LM head, as
// BertForMaskedLM.

import * as v from "valibot";
import { Unary } from "../../assembly/opcodes.ts";
import { type CommonConfig, does, headsFault, integer, oneOf, positive, probability } from "../formats/config.ts";
import { add, dropoutAt, unary } from "../ops/index.ts";
import type { Scope } from "../program/scope.ts";
import type { Value } from "../program/value.ts";
import { type Family, inherited, stack } from "./family.ts";
import type { BatchValues, Features } from "./features.ts";
import {
  ACTIVATIONS,
  type Activation,
  attend,
  dense,
  embed,
  type Layer,
  layerFeatures,
  maskedLm,
  norm,
  rowsOf,
} from "./parts.ts";

/** transformers, models/bert/configuration_bert.py */
export interface BertConfig extends CommonConfig {
  model_type: "bert";
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  intermediate_size: number;
  hidden_act: Activation;
  hidden_dropout_prob: number;
  attention_probs_dropout_prob: number;
  /** null: hidden_dropout_prob serves. */
  classifier_dropout: number | null;
  type_vocab_size: number;
  layer_norm_eps: number;
  position_embedding_type: "absolute";
}

/** What a file, or a model of another family, does not say. */
const DEFAULTS = {
  hidden_act: "gelu",
  hidden_dropout_prob: 0.1,
  attention_probs_dropout_prob: 0.1,
  classifier_dropout: null,
  type_vocab_size: 2,
  layer_norm_eps: 1e-12,
  position_embedding_type: "absolute",
} as const;

function embeddings(scope: Scope, config: BertConfig, batch: BatchValues): Value {
  const D = config.hidden_size;
  const words = embed(scope.in("word_embeddings"), config.vocab_size, D, batch.ids, batch.order);
  const types = embed(scope.in("token_type_embeddings"), config.type_vocab_size, D, batch.segments, batch.segmentOrder);
  const rows = config.max_position_embeddings;
  const places = embed(scope.in("position_embeddings"), rows, D, batch.positions, batch.positionOrder);
  const sum = add(add(words, types), places);
  return dropoutAt(
    scope,
    "dropout",
    norm(scope.in("LayerNorm"), sum, config.layer_norm_eps),
    config.hidden_dropout_prob,
  );
}

function layer(scope: Scope, config: BertConfig, x: Value, batch: BatchValues): Layer {
  const D = config.hidden_size;
  const self = scope.in("attention.self");
  const [query, first] = [x, rowsOf(x, batch.first)].map((rows) => dense(self.in("query"), rows, D));
  const key = dense(self.in("key"), x, D);
  const value = dense(self.in("value"), x, D);
  const { num_attention_heads: H, attention_probs_dropout_prob: p } = config;
  const { scores, context } = attend(self, { query, key, value }, batch, H, p);
  const rest = (read: Value, rows?: Value) => {
    const residual = (at: Scope, inner: Value, skip: Value) => {
      const out = dropoutAt(at, "dropout", dense(at.in("dense"), inner, D), config.hidden_dropout_prob, rows);
      return norm(at.in("LayerNorm"), add(out, skip), config.layer_norm_eps);
    };
    const attended = residual(scope.in("attention.output"), read, rowsOf(x, rows));
    const inner = dense(scope.in("intermediate.dense"), attended, config.intermediate_size);
    return residual(scope.in("output"), unary({ x: inner }, { kind: ACTIVATIONS[config.hidden_act] }), attended);
  };
  return {
    ...{ hidden: rest(context), some: (rows) => rest(rowsOf(context, rows), rows), scores, query, key, value },
    cls: () => rest(attend(self, { query: first, key, value }, batch, H, p, batch.first).context, batch.first),
  };
}

/** A dense layer on [CLS], and the classifier. */
function classifier(scope: Scope, config: BertConfig, cls: Value): Pick<Features, "pooled" | "logits"> {
  const pooled = unary({ x: dense(scope.in("bert.pooler.dense"), cls, config.hidden_size) }, { kind: Unary.tanh });
  const dropout = config.classifier_dropout ?? config.hidden_dropout_prob;
  const logits = dense(scope.in("classifier"), dropoutAt(scope, "dropout", pooled, dropout), config.num_labels);
  return { pooled, logits };
}

function trace(scope: Scope, config: BertConfig, batch: BatchValues): Partial<Features> {
  const body = scope.in("bert");
  const embedding = embeddings(body.in("embeddings"), config, batch);
  const layers: Layer[] = [];
  for (let i = 0; i < config.num_hidden_layers; i++)
    layers.push(layer(body.in(`encoder.layer.${i}`), config, layers[i - 1]?.hidden ?? embedding, batch));
  const stacked = layerFeatures(layers, batch);
  const last = layers.length - 1;
  const { vocab_size: V, hidden_act: activation, layer_norm_eps: epsilon } = config;
  const decoder = scope.in("cls.predictions");
  const [transform, words] = [decoder.in("transform"), body.in("embeddings.word_embeddings")];
  const head = { dense: transform.in("dense"), norm: transform.in("LayerNorm"), decoder, words };
  return {
    ...{ embedding, ...stacked, heads: config.num_attention_heads },
    ...(does("classification", config) ? classifier(scope, config, stacked.cls[last]) : {}),
    ...(does("maskedLm", config) ? maskedLm(head, layers[last], batch, V, { activation, epsilon }) : {}),
  };
}

export const bert: Family<BertConfig> = {
  type: "bert",
  architecture: "BertForSequenceClassification",
  body: "BertModel",
  tokenizer: "BertTokenizer",
  fields: {
    hidden_size: integer(1),
    num_hidden_layers: integer(1),
    num_attention_heads: integer(1),
    intermediate_size: integer(1),
    hidden_act: v.optional(oneOf(Object.keys(ACTIVATIONS) as Activation[]), DEFAULTS.hidden_act),
    hidden_dropout_prob: v.optional(probability, DEFAULTS.hidden_dropout_prob),
    attention_probs_dropout_prob: v.optional(probability, DEFAULTS.attention_probs_dropout_prob),
    classifier_dropout: v.nullish(probability, DEFAULTS.classifier_dropout),
    type_vocab_size: integer(1),
    layer_norm_eps: v.optional(positive, DEFAULTS.layer_norm_eps),
    position_embedding_type: v.nullish(oneOf(["absolute"] as const), DEFAULTS.position_embedding_type),
  },
  faults: ({ num_attention_heads, hidden_size }) =>
    headsFault("num_attention_heads", num_attention_heads, "hidden_size", hidden_size),
  prefix: "bert.",
  parts: ["embeddings.", "encoder.", "pooler."],
  maskedLm: {
    architecture: "BertForMaskedLM",
    parts: ["cls.predictions."],
    tied: {
      "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
      "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
  },
  aside: ["cls."],
  head: ["classifier.", "bert.pooler."],
  layers: "bert.encoder.layer.",
  words: "bert.embeddings.word_embeddings.weight",
  axes: (path) => {
    if (/^classifier\.|embeddings\.weight$|^cls\.predictions\.bias$/.test(path)) return [undefined, "width"];
    if (/\.self\.(query|key|value)\./.test(path)) return ["heads", "width"];
    if (path.endsWith(".attention.output.dense.weight")) return ["width", "heads"];
    if (path.includes(".intermediate.dense.")) return ["inner", "width"];
    return ["width", path.endsWith(".output.dense.weight") ? "inner" : "width"];
  },
  trace,
  ...stack,
  size: ({ num_hidden_layers, hidden_size, num_attention_heads, intermediate_size }) => ({
    layers: num_hidden_layers,
    width: hidden_size,
    heads: num_attention_heads,
    inner: intermediate_size,
  }),
  sized: ({ layers, width, heads, inner }, like) => ({
    ...inherited<BertConfig>(like, "bert", DEFAULTS),
    num_hidden_layers: layers,
    hidden_size: width,
    num_attention_heads: heads,
    intermediate_size: inner,
  }),
};
