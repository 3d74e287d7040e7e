// BERT with a classification or regression head (Devlin et al. 2019, arXiv:1810.04805), parameter for parameter as
// Hugging Face's BertForSequenceClassification, so that its checkpoints load and ours load there.

import { Unary } from "../../assembly/opcodes.ts";
import type { BertConfig } from "../formats/config.ts";
import {
  add,
  attentionMix,
  attentionPairs,
  dropoutAt,
  gather,
  layerNorm,
  linear,
  softmax,
  unary,
} from "../ops/index.ts";
import type { Scope } from "../program/scope.ts";
import type { Value } from "../program/value.ts";
import type { BatchValues, Features } from "./features.ts";

const ACTIVATIONS = {
  gelu: Unary.gelu,
  gelu_new: Unary.geluTanh,
  gelu_pytorch_tanh: Unary.geluTanh,
  relu: Unary.relu,
} as const;

function dense(scope: Scope, x: Value, outputs: number): Value {
  return linear(x, scope.parameter("weight", [outputs, x.shape[1]]), scope.parameter("bias", [outputs]));
}

function norm(scope: Scope, x: Value, epsilon: number): Value {
  const D = x.shape[1];
  return layerNorm({ x, gamma: scope.parameter("weight", [D]), beta: scope.parameter("bias", [D]) }, { epsilon });
}

function embeddings(scope: Scope, config: BertConfig, batch: BatchValues): Value {
  const D = config.hidden_size;
  const table = (name: string, rows: number, ids: Value, order: Value) =>
    gather({ table: scope.parameter(`${name}.weight`, [rows, D]), ids, order }, {});
  const words = table("word_embeddings", config.vocab_size, batch.ids, batch.order);
  const types = table("token_type_embeddings", config.type_vocab_size, batch.segments, batch.segmentOrder);
  const places = table("position_embeddings", config.max_position_embeddings, batch.positions, batch.positionOrder);
  const sum = add(add(words, types), places);
  return dropoutAt(
    scope,
    "dropout",
    norm(scope.in("LayerNorm"), sum, config.layer_norm_eps),
    config.hidden_dropout_prob,
  );
}

interface Layer {
  hidden: Value;
  scores: Value;
  query: Value;
  key: Value;
  value: Value;
}

function layer(scope: Scope, config: BertConfig, x: Value, batch: BatchValues): Layer {
  const D = config.hidden_size;
  const H = config.num_attention_heads;
  const { offsets, longest: L } = batch;
  const self = scope.in("attention.self");
  const query = dense(self.in("query"), x, D);
  const key = dense(self.in("key"), x, D);
  const value = dense(self.in("value"), x, D);
  const scores = attentionPairs({ q: query, k: key, offsets }, { H, L, scale: 1 / Math.sqrt(D / H) });
  const attention = dropoutAt(
    self,
    "dropout",
    softmax({ x: scores, offsets }, {}),
    config.attention_probs_dropout_prob,
  );
  const context = attentionMix({ p: attention, v: value, offsets }, { scale: 1 });

  const residual = (at: Scope, inner: Value, skip: Value) => {
    const out = dropoutAt(at, "dropout", dense(at.in("dense"), inner, D), config.hidden_dropout_prob);
    return norm(at.in("LayerNorm"), add(out, skip), config.layer_norm_eps);
  };
  const attended = residual(scope.in("attention.output"), context, x);
  const inner = dense(scope.in("intermediate.dense"), attended, config.intermediate_size);
  const hidden = residual(scope.in("output"), unary({ x: inner }, { kind: ACTIVATIONS[config.hidden_act] }), attended);
  return { hidden, scores, query, key, value };
}

/** Traces the model on a batch. Dropout is active when the scope trains. */
export function bert(scope: Scope, config: BertConfig, batch: BatchValues): Features {
  const body = scope.in("bert");
  const embedding = embeddings(body.in("embeddings"), config, batch);
  const layers: Layer[] = [];
  for (let i = 0; i < config.num_hidden_layers; i++)
    layers.push(layer(body.in(`encoder.layer.${i}`), config, layers[i - 1]?.hidden ?? embedding, batch));
  const cls = layers.map(({ hidden }) => gather({ table: hidden, ids: batch.first }, {}));
  const pooled = unary(
    { x: dense(body.in("pooler.dense"), cls[cls.length - 1], config.hidden_size) },
    { kind: Unary.tanh },
  );
  const dropout = config.classifier_dropout ?? config.hidden_dropout_prob;
  const logits = dense(scope.in("classifier"), dropoutAt(scope, "dropout", pooled, dropout), config.num_labels);
  return {
    embedding,
    hidden: layers.map(({ hidden }) => hidden),
    cls,
    scores: layers.map(({ scores }) => scores),
    queries: layers.map(({ query }) => query),
    keys: layers.map(({ key }) => key),
    values: layers.map(({ value }) => value),
    pooled,
    logits,
  };
}
