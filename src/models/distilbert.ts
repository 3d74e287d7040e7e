// DistilBERT with a classification or regression head (Sanh et al. 2019, arXiv:1910.01108), parameter for parameter as Hugging Face's
// DistilBertForSequenceClassification: BERT's layers under other names, no segments, no pooler; the head is a ReLU layer on [CLS].
//   logits = W·relu(W₁·h[CLS] + b₁) + b
// Or with a masked-LM head, as DistilBertForMaskedLM.

import * as v from "valibot";
import { Unary } from "../../assembly/opcodes.ts";
import { type CommonConfig, does, flag, headsFault, integer, oneOf, probability } from "../formats/config.ts";
import { cos, exp, log } from "../math.ts";
import { add, dropoutAt, unary } from "../ops/index.ts";
import type { Scope } from "../program/scope.ts";
import type { Value } from "../program/value.ts";
import { type BertConfig, bert } from "./bert.ts";
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

/** transformers, models/distilbert/configuration_distilbert.py */
export interface DistilbertConfig extends CommonConfig {
  model_type: "distilbert";
  dim: number;
  n_layers: number;
  n_heads: number;
  hidden_dim: number;
  activation: Activation;
  dropout: number;
  attention_dropout: number;
  seq_classif_dropout: number;
  /** Position embeddings begin as sines; they are parameters like the others. */
  sinusoidal_pos_embds: boolean;
}

const EPSILON = 1e-12;

/** What a file, or a model of another family, does not say. */
const DEFAULTS = {
  activation: "gelu",
  dropout: 0.1,
  attention_dropout: 0.1,
  seq_classif_dropout: 0.2,
  sinusoidal_pos_embds: false,
} as const;

function layer(scope: Scope, config: DistilbertConfig, x: Value, batch: BatchValues): Layer {
  const { dim: D, n_heads: H, hidden_dim: F } = config;
  const self = scope.in("attention");
  const [query, first] = [x, rowsOf(x, batch.first)].map((rows) => dense(self.in("q_lin"), rows, D));
  const [key, value] = ["k_lin", "v_lin"].map((name) => dense(self.in(name), x, D));
  const p = config.attention_dropout;
  const { scores, context } = attend(self, { query, key, value }, batch, H, p);
  const rest = (read: Value, rows?: Value) => {
    const out = add(dense(self.in("out_lin"), read, D), rowsOf(x, rows));
    const attended = norm(scope.in("sa_layer_norm"), out, EPSILON);
    const ffn = scope.in("ffn");
    const inner = unary({ x: dense(ffn.in("lin1"), attended, F) }, { kind: ACTIVATIONS[config.activation] });
    const dropped = dropoutAt(ffn, "dropout", dense(ffn.in("lin2"), inner, D), config.dropout, rows);
    return norm(scope.in("output_layer_norm"), add(dropped, attended), EPSILON);
  };
  return {
    ...{ hidden: rest(context), some: (rows) => rest(rowsOf(context, rows), rows), scores, query, key, value },
    cls: () => rest(attend(self, { query: first, key, value }, batch, H, p, batch.first).context, batch.first),
  };
}

function classifier(scope: Scope, config: DistilbertConfig, cls: Value): Pick<Features, "logits"> {
  const inner = unary({ x: dense(scope.in("pre_classifier"), cls, config.dim) }, { kind: Unary.relu });
  const dropped = dropoutAt(scope, "dropout", inner, config.seq_classif_dropout);
  return { logits: dense(scope.in("classifier"), dropped, config.num_labels) };
}

function trace(scope: Scope, config: DistilbertConfig, batch: BatchValues): Partial<Features> {
  const { dim: D, vocab_size, max_position_embeddings, activation } = config;
  const body = scope.in("distilbert");
  const at = body.in("embeddings");
  const words = embed(at.in("word_embeddings"), vocab_size, D, batch.ids, batch.order);
  const places = embed(at.in("position_embeddings"), max_position_embeddings, D, batch.positions, batch.positionOrder);
  const embedding = dropoutAt(at, "dropout", norm(at.in("LayerNorm"), add(words, places), EPSILON), config.dropout);
  const layers: Layer[] = [];
  for (let i = 0; i < config.n_layers; i++)
    layers.push(layer(body.in(`transformer.layer.${i}`), config, layers[i - 1]?.hidden ?? embedding, batch));
  const stacked = layerFeatures(layers, batch);
  const last = config.n_layers - 1;
  const [transform, between, decoder] = ["transform", "layer_norm", "projector"].map((part) =>
    scope.in(`vocab_${part}`),
  );
  const head = { dense: transform, norm: between, decoder, words: at.in("word_embeddings") };
  return {
    ...{ embedding, ...stacked, heads: config.n_heads },
    ...(does("classification", config) ? classifier(scope, config, stacked.cls[last]) : {}),
    ...(does("maskedLm", config)
      ? maskedLm(head, layers[last], batch, vocab_size, { activation, epsilon: EPSILON })
      : {}),
  };
}

/** How its parameters are called in BERT; segments, pooler and classifier have no counterpart. */
const IN_BERT: readonly (readonly [RegExp, string])[] = [
  [/^bert\.embeddings\.(word_embeddings|position_embeddings|LayerNorm)\./, "distilbert.embeddings.$1."],
  [/^bert\.encoder\.layer\.(\d+)\.attention\.self\.([qkv])\w+\./, "distilbert.transformer.layer.$1.attention.$2_lin."],
  [/^bert\.encoder\.layer\.(\d+)\.attention\.output\.dense\./, "distilbert.transformer.layer.$1.attention.out_lin."],
  [/^bert\.encoder\.layer\.(\d+)\.attention\.output\.LayerNorm\./, "distilbert.transformer.layer.$1.sa_layer_norm."],
  [/^bert\.encoder\.layer\.(\d+)\.intermediate\.dense\./, "distilbert.transformer.layer.$1.ffn.lin1."],
  [/^bert\.encoder\.layer\.(\d+)\.output\.dense\./, "distilbert.transformer.layer.$1.ffn.lin2."],
  [/^bert\.encoder\.layer\.(\d+)\.output\.LayerNorm\./, "distilbert.transformer.layer.$1.output_layer_norm."],
  [/^cls\.predictions\.transform\.dense\./, "vocab_transform."],
  [/^cls\.predictions\.transform\.LayerNorm\./, "vocab_layer_norm."],
  [/^cls\.predictions\.(?=bias)/, "vocab_projector."],
];

/** Of BERT's layers, as the authors extract them (scripts/extract_distilbert.py, with --vocab_transform). */
function adopts(like: CommonConfig): ReturnType<NonNullable<Family<DistilbertConfig>["adopts"]>> {
  if (like.model_type !== "bert") return undefined;
  const config = like as BertConfig;
  return {
    config: {
      ...distilbert.sized(bert.size(config), config),
      ...{ activation: config.hidden_act, dropout: config.hidden_dropout_prob },
      attention_dropout: config.attention_probs_dropout_prob,
    },
    named: (path) => {
      const [pattern, name] = IN_BERT.find(([known]) => known.test(path)) ?? [];
      return pattern && name && path.replace(pattern, name);
    },
  };
}

/** Sines and cosines of position/10000^(2⌊j/2⌋/D) side by side (Vaswani et al. 2017, arXiv:1706.03762, section 3.5). */
function sinusoids([rows, D]: readonly number[]): Float32Array {
  const table = new Float32Array(rows * D);
  const quarter = 1.5707963267948966;
  for (let i = 0; i < table.length; i++) {
    const [position, j] = [Math.floor(i / D), i % D];
    const angle = position / exp((2 * Math.floor(j / 2) * log(10000)) / D);
    table[i] = j % 2 === 0 ? cos(angle - quarter) : cos(angle);
  }
  return table;
}

export const distilbert: Family<DistilbertConfig> = {
  type: "distilbert",
  architecture: "DistilBertForSequenceClassification",
  body: "DistilBertModel",
  tokenizer: "DistilBertTokenizer",
  fields: {
    dim: integer(1),
    n_layers: integer(1),
    n_heads: integer(1),
    hidden_dim: integer(1),
    activation: v.optional(oneOf(Object.keys(ACTIVATIONS) as Activation[]), DEFAULTS.activation),
    dropout: v.optional(probability, DEFAULTS.dropout),
    attention_dropout: v.optional(probability, DEFAULTS.attention_dropout),
    seq_classif_dropout: v.optional(probability, DEFAULTS.seq_classif_dropout),
    sinusoidal_pos_embds: v.optional(flag, DEFAULTS.sinusoidal_pos_embds),
  },
  faults: ({ n_heads, dim }) => headsFault("n_heads", n_heads, "dim", dim),
  prefix: "distilbert.",
  parts: ["embeddings.", "transformer."],
  maskedLm: {
    architecture: "DistilBertForMaskedLM",
    parts: ["vocab_transform.", "vocab_layer_norm.", "vocab_projector."],
    tied: { "vocab_projector.weight": "distilbert.embeddings.word_embeddings.weight" },
  },
  aside: ["vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "qa_outputs."],
  head: ["classifier.", "pre_classifier."],
  layers: "distilbert.transformer.layer.",
  words: "distilbert.embeddings.word_embeddings.weight",
  axes: (path) => {
    if (/^classifier\.|embeddings\.weight$|^vocab_projector\./.test(path)) return [undefined, "width"];
    if (/\.[qkv]_lin\./.test(path)) return ["heads", "width"];
    if (path.endsWith(".out_lin.weight")) return ["width", "heads"];
    if (path.includes(".ffn.lin1.")) return ["inner", "width"];
    return ["width", path.endsWith(".ffn.lin2.weight") ? "inner" : "width"];
  },
  trace,
  ...stack,
  size: ({ n_layers, dim, n_heads, hidden_dim }) => ({
    layers: n_layers,
    width: dim,
    heads: n_heads,
    inner: hidden_dim,
  }),
  sized: ({ layers, width, heads, inner }, like) => ({
    ...inherited<DistilbertConfig>(like, "distilbert", DEFAULTS),
    n_layers: layers,
    dim: width,
    n_heads: heads,
    hidden_dim: inner,
  }),
  adopts,
  fresh: (path, shape, config) =>
    config.sinusoidal_pos_embds && path.endsWith("position_embeddings.weight") ? sinusoids(shape) : undefined,
};
