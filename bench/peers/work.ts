// What is computed in benchmarks, without anything of the host: numbers to work on, and BERTs of any size.

import { labelMaps } from "../../src/formats/config.ts";
import type { BertConfig } from "../../src/models/bert.ts";
import type { ModelConfig } from "../../src/models/index.ts";
import type { Weights } from "../../src/train/model.ts";
import { parametersOf } from "../../src/train/programs.ts";

/** Repeatable numbers between −scale and scale, much faster than the project's own Random; for values that do not matter. */
export function noise(length: number, scale: number, seed = 1): Float32Array {
  const out = new Float32Array(length);
  let state = seed >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    out[i] = (state / 2 ** 31 - 1) * scale;
  }
  return out;
}

export interface Sizes {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly inner: number;
}

/** A BERT of these sizes for two classes, as bert-base-uncased has the rest. */
export function bertConfig(sizes: Sizes & { vocabulary?: number; dropout?: number }): BertConfig {
  const dropout = sizes.dropout ?? 0.1;
  return {
    model_type: "bert",
    vocab_size: sizes.vocabulary ?? 30522,
    hidden_size: sizes.width,
    num_hidden_layers: sizes.layers,
    num_attention_heads: sizes.heads,
    intermediate_size: sizes.inner,
    hidden_act: "gelu",
    hidden_dropout_prob: dropout,
    attention_probs_dropout_prob: dropout,
    classifier_dropout: null,
    max_position_embeddings: 512,
    type_vocab_size: 2,
    initializer_range: 0.02,
    layer_norm_eps: 1e-12,
    pad_token_id: 0,
    position_embedding_type: "absolute",
    problem_type: "single_label_classification",
    ...labelMaps(["0", "1"]),
  };
}

/** Weights of about the spread that training starts from. */
export function randomWeights(config: ModelConfig): Weights {
  const weights: Weights = new Map();
  for (const [path, shape] of parametersOf(config)) {
    const length = shape.reduce((a, b) => a * b, 1);
    const isBias = path.endsWith(".bias");
    const data = path.endsWith("LayerNorm.weight")
      ? new Float32Array(length).fill(1)
      : noise(isBias ? 0 : length, 0.035);
    weights.set(path, { shape: [...shape], data: isBias ? new Float32Array(length) : data });
  }
  return weights;
}
