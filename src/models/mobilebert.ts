// MobileBERT with a classification or regression head (Sun et al. 2020, arXiv:2004.02984), parameter for parameter as Hugging Face's
// MobileBertForSequenceClassification, and IB-BERT, the teacher of its paper. Between blocks a width D, inside of a block a width T:
//   e = norm(W·[word of the next token, its own, of the previous one] + position + segment)      a trigram of width 3·E; without it E
//                      beyond the ends 0 (transformers, in a padded batch, reads the padding's embedding behind the last token)
//   l = norm(W·x)        bottleneck.input                q, k of norm(W′·x) if they share a bottleneck, of l if attention has one, else of x
//   a = norm(W·attention + l)                            v of l if attention has one, else of x
//   a ← norm(W₂·act(W₁·a) + a)                           `num_feedforward_networks` times
//   x ← norm(W·a + x)    output.bottleneck               norm: layer norm, or y = γ·x + β
// MobileBERT's blocks are narrow inside (T < D), IB-BERT's are wide, and its q and k read x. Their layers [T, D] are what transformers'
// class, which makes them [T, T], cannot hold; so `ibbert` is a model_type of our own with MobileBERT's names of tensors.
// Or with a masked-LM head, as MobileBertForMaskedLM: its decoder is the word embeddings, E wide, and a table of its own for the rest of D.

import * as v from "valibot";
import { Unary } from "../../assembly/opcodes.ts";
import { InputError } from "../errors.ts";
import { type CommonConfig, does, flag, headsFault, integer, oneOf, positive, probability } from "../formats/config.ts";
import { add, concat, dropoutAt, noNorm, shift, unary } from "../ops/index.ts";
import type { Scope } from "../program/scope.ts";
import type { Value } from "../program/value.ts";
import type { BertConfig } from "./bert.ts";
import { crossed, type Family, inherited } from "./family.ts";
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

/** transformers, models/mobilebert/configuration_mobilebert.py */
export interface MobilebertConfig extends Omit<BertConfig, "model_type" | "position_embedding_type"> {
  model_type: "mobilebert" | "ibbert";
  /** E; D is hidden_size. */
  embedding_size: number;
  trigram_input: boolean;
  /** False: blocks are as wide inside as between. */
  use_bottleneck: boolean;
  /** T */
  intra_bottleneck_size: number;
  use_bottleneck_attention: boolean;
  key_query_shared_bottleneck: boolean;
  num_feedforward_networks: number;
  normalization_type: "no_norm" | "layer_norm";
  /** False: the classifier reads [CLS] as it is. */
  classifier_activation: boolean;
  /** What transformers derives from the others; null: not stated. */
  true_hidden_size: number | null;
}

type Sizes = "hidden_size" | "num_hidden_layers" | "num_attention_heads" | "intermediate_size";
type Rest = Omit<MobilebertConfig, keyof CommonConfig | Sizes>;

/** What a file does not say. */
const DEFAULTS: Rest = {
  hidden_act: "relu",
  hidden_dropout_prob: 0,
  attention_probs_dropout_prob: 0.1,
  classifier_dropout: null,
  type_vocab_size: 2,
  layer_norm_eps: 1e-12,
  embedding_size: 128,
  trigram_input: true,
  use_bottleneck: true,
  intra_bottleneck_size: 128,
  use_bottleneck_attention: false,
  key_query_shared_bottleneck: true,
  num_feedforward_networks: 4,
  normalization_type: "no_norm",
  classifier_activation: true,
  true_hidden_size: null,
};

/** The authors' configuration of the teacher. */
const TEACHER: Rest = {
  ...DEFAULTS,
  ...{ hidden_act: "gelu", hidden_dropout_prob: 0.1, intra_bottleneck_size: 1024, num_feedforward_networks: 1 },
  ...{ key_query_shared_bottleneck: false, normalization_type: "layer_norm" },
};

/** Two norms that transformers gives PyTorch's ε and not the configuration's. */
const TORCH_EPSILON = 1e-5;

const inside = ({ use_bottleneck, intra_bottleneck_size, hidden_size }: MobilebertConfig): number =>
  use_bottleneck ? intra_bottleneck_size : hidden_size;

function normal(scope: Scope, x: Value, { normalization_type }: MobilebertConfig, epsilon: number): Value {
  if (normalization_type === "layer_norm") return norm(scope, x, epsilon);
  const D = x.shape[1];
  return noNorm({ x, gamma: scope.parameter("weight", [D]), beta: scope.parameter("bias", [D]) }, {});
}

function embeddings(scope: Scope, config: MobilebertConfig, batch: BatchValues): Value {
  const { embedding_size: E, hidden_size: D } = config;
  const { offsets } = batch;
  const words = embed(scope.in("word_embeddings"), config.vocab_size, E, batch.ids, batch.order);
  const beside = (by: number) => shift({ x: words, offsets }, { by });
  const read = config.trigram_input ? concat({ a: concat({ a: beside(-1), b: words }, {}), b: beside(1) }, {}) : words;
  // Where it is not needed its weights are in the file all the same.
  const transformed = dense(scope.in("embedding_transformation"), read, D);
  const types = embed(scope.in("token_type_embeddings"), config.type_vocab_size, D, batch.segments, batch.segmentOrder);
  const rows = config.max_position_embeddings;
  const places = embed(scope.in("position_embeddings"), rows, D, batch.positions, batch.positionOrder);
  const sum = add(add(config.trigram_input || E !== D ? transformed : words, places), types);
  const out = normal(scope.in("LayerNorm"), sum, config, TORCH_EPSILON);
  return dropoutAt(scope, "dropout", out, config.hidden_dropout_prob);
}

function layer(scope: Scope, config: MobilebertConfig, x: Value, batch: BatchValues): Layer {
  const { use_bottleneck, intermediate_size: F, layer_norm_eps, hidden_dropout_prob } = config;
  const T = inside(config);
  const bottleneck = (name: string) => {
    const at = scope.in(`bottleneck.${name}`);
    return normal(at.in("LayerNorm"), dense(at.in("dense"), x, T), config, layer_norm_eps);
  };
  const input = use_bottleneck ? bottleneck("input") : x;
  const shared = use_bottleneck && config.key_query_shared_bottleneck ? bottleneck("attention") : x;
  const own = use_bottleneck && config.use_bottleneck_attention;

  const self = scope.in("attention.self");
  const asking = own ? input : shared;
  const [query, first] = [asking, rowsOf(asking, batch.first)].map((rows) => dense(self.in("query"), rows, T));
  const key = dense(self.in("key"), own ? input : shared, T);
  const value = dense(self.in("value"), own ? input : x, T);
  const { num_attention_heads: H, attention_probs_dropout_prob: p } = config;
  const { scores, context } = attend(self, { query, key, value }, batch, H, p);

  const rest = (read: Value, rows?: Value) => {
    const residual = (at: Scope, inner: Value, skip: Value, epsilon: number, dropout: number) => {
      const out = dropoutAt(at, "dropout", dense(at.in("dense"), inner, skip.shape[1]), dropout, rows);
      return normal(at.in("LayerNorm"), add(out, skip), config, epsilon);
    };
    const forward = (at: Scope, a: Value, epsilon: number, dropout: number) => {
      const inner = unary({ x: dense(at.in("intermediate.dense"), a, F) }, { kind: ACTIVATIONS[config.hidden_act] });
      return residual(at.in("output"), inner, a, epsilon, dropout);
    };
    // Within bottlenecks nothing is dropped out.
    const dropout = use_bottleneck ? 0 : hidden_dropout_prob;
    let a = residual(scope.in("attention.output"), read, rowsOf(input, rows), layer_norm_eps, dropout);
    for (let j = 0; j + 1 < config.num_feedforward_networks; j++)
      a = forward(scope.in(`ffn.${j}`), a, layer_norm_eps, 0);
    a = forward(scope, a, TORCH_EPSILON, dropout);
    if (!use_bottleneck) return a;
    return residual(scope.in("output.bottleneck"), a, rowsOf(x, rows), layer_norm_eps, hidden_dropout_prob);
  };
  return {
    ...{ hidden: rest(context), some: (rows) => rest(rowsOf(context, rows), rows), scores, query, key, value },
    cls: () => rest(attend(self, { query: first, key, value }, batch, H, p, batch.first).context, batch.first),
  };
}

function classifier(scope: Scope, config: MobilebertConfig, cls: Value): Pick<Features, "pooled" | "logits"> {
  const pooled = config.classifier_activation
    ? unary({ x: dense(scope.in("mobilebert.pooler.dense"), cls, config.hidden_size) }, { kind: Unary.tanh })
    : cls;
  const dropout = config.classifier_dropout ?? config.hidden_dropout_prob;
  return {
    pooled,
    logits: dense(scope.in("classifier"), dropoutAt(scope, "dropout", pooled, dropout), config.num_labels),
  };
}

function predictions(scope: Scope, config: MobilebertConfig, last: Layer, batch: BatchValues): Partial<Features> {
  const { vocab_size: V, hidden_size: D, embedding_size: embedding, hidden_act: activation } = config;
  if (D < embedding)
    throw new InputError(
      "MASKED_LM_WIDTH",
      `a masked-LM head needs a model as wide between its layers as its embeddings, ${embedding}: this one is ${D} wide; make it wider.`,
    );
  const decoder = scope.in("cls.predictions");
  const transform = decoder.in("transform");
  const words = scope.in("mobilebert.embeddings.word_embeddings");
  const head = { dense: transform.in("dense"), norm: transform.in("LayerNorm"), decoder, words };
  return maskedLm(head, last, batch, V, { activation, epsilon: config.layer_norm_eps, embedding });
}

function trace(scope: Scope, config: MobilebertConfig, batch: BatchValues): Partial<Features> {
  const body = scope.in("mobilebert");
  const embedding = embeddings(body.in("embeddings"), config, batch);
  const layers: Layer[] = [];
  for (let i = 0; i < config.num_hidden_layers; i++)
    layers.push(layer(body.in(`encoder.layer.${i}`), config, layers[i - 1]?.hidden ?? embedding, batch));
  const stacked = layerFeatures(layers, batch);
  const last = layers.length - 1;
  return {
    ...{ embedding, ...stacked, heads: config.num_attention_heads },
    ...(does("classification", config) ? classifier(scope, config, stacked.cls[last]) : {}),
    ...(does("maskedLm", config) ? predictions(scope, config, layers[last], batch) : {}),
  };
}

/** What both have. `paper`: of a fresh one; `defaults`: of a file that does not say. */
function bottlenecked(
  own: Pick<Family<MobilebertConfig>, "type" | "tokenizer">,
  name: string,
  { defaults, paper }: { defaults: Rest; paper: Rest },
  faults: (config: MobilebertConfig) => string[],
): Family<MobilebertConfig> {
  return {
    ...own,
    architecture: `${name}ForSequenceClassification`,
    body: `${name}Model`,
    maskedLm: {
      architecture: `${name}ForMaskedLM`,
      parts: ["cls.predictions."],
      tied: {
        "cls.predictions.decoder.weight": "mobilebert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
      },
    },
    fields: {
      hidden_size: integer(1),
      num_hidden_layers: integer(1),
      num_attention_heads: integer(1),
      intermediate_size: integer(1),
      hidden_act: v.optional(oneOf(Object.keys(ACTIVATIONS) as Activation[]), defaults.hidden_act),
      hidden_dropout_prob: v.optional(probability, defaults.hidden_dropout_prob),
      attention_probs_dropout_prob: v.optional(probability, defaults.attention_probs_dropout_prob),
      classifier_dropout: v.nullish(probability, defaults.classifier_dropout),
      type_vocab_size: v.optional(integer(1), defaults.type_vocab_size),
      layer_norm_eps: v.optional(positive, defaults.layer_norm_eps),
      embedding_size: v.optional(integer(1), defaults.embedding_size),
      trigram_input: v.optional(flag, defaults.trigram_input),
      use_bottleneck: v.optional(flag, defaults.use_bottleneck),
      intra_bottleneck_size: v.optional(integer(1), defaults.intra_bottleneck_size),
      use_bottleneck_attention: v.optional(flag, defaults.use_bottleneck_attention),
      key_query_shared_bottleneck: v.optional(flag, defaults.key_query_shared_bottleneck),
      num_feedforward_networks: v.optional(integer(1), defaults.num_feedforward_networks),
      normalization_type: v.optional(oneOf(["no_norm", "layer_norm"] as const), defaults.normalization_type),
      classifier_activation: v.optional(flag, defaults.classifier_activation),
      true_hidden_size: v.nullish(integer(1), defaults.true_hidden_size),
    },
    faults: (config) => {
      const { num_attention_heads, true_hidden_size, use_bottleneck } = config;
      const [T, name] = [inside(config), use_bottleneck ? "intra_bottleneck_size" : "hidden_size"];
      const stated = true_hidden_size === null || true_hidden_size === T;
      return [
        ...headsFault("num_attention_heads", num_attention_heads, name, T),
        ...(stated ? [] : [`true_hidden_size: expected ${T} as ${name} says, found ${true_hidden_size}`]),
        ...faults(config),
      ];
    },
    prefix: "mobilebert.",
    parts: ["embeddings.", "encoder.", "pooler."],
    aside: ["cls.", "qa_outputs."],
    head: ["classifier.", "mobilebert.pooler."],
    layers: "mobilebert.encoder.layer.",
    words: "mobilebert.embeddings.word_embeddings.weight",
    taken: ["mobilebert.embeddings.", "cls.predictions."],
    heads: 4,
    trace,
    usage: ":LxDxT[xHxFxN]",
    parse: (text) => {
      const numbers = crossed(text, 3, 6);
      if (!numbers) return undefined;
      const [layers, width, inside, heads, inner, forwards] = numbers;
      return { layers, width, inside, heads, inner, forwards };
    },
    size: (config) => ({
      layers: config.num_hidden_layers,
      width: config.hidden_size,
      heads: config.num_attention_heads,
      inner: config.intermediate_size,
      forwards: config.num_feedforward_networks,
      ...(config.use_bottleneck ? { inside: config.intra_bottleneck_size } : {}),
    }),
    sized: ({ layers, width, heads, inner, inside, forwards }, like) => {
      // Student and teacher share their embeddings.
      const { embedding_size, trigram_input, type_vocab_size } = isKin(like) ? like : paper;
      const fresh = { ...paper, embedding_size, trigram_input, type_vocab_size };
      const config = inherited<MobilebertConfig>(like, own.type, fresh);
      return {
        ...config,
        num_hidden_layers: layers,
        hidden_size: width,
        num_attention_heads: heads,
        intermediate_size: inner,
        num_feedforward_networks: forwards ?? config.num_feedforward_networks,
        ...(inside === undefined ? {} : { use_bottleneck: true, intra_bottleneck_size: inside }),
        true_hidden_size: inside ?? width,
      };
    },
  };
}

const isKin = (config: CommonConfig): config is MobilebertConfig =>
  config.model_type === "mobilebert" || config.model_type === "ibbert";

/** Queries and keys of x, without a bottleneck before them. */
const wide = (config: MobilebertConfig): boolean =>
  config.use_bottleneck && !config.use_bottleneck_attention && !config.key_query_shared_bottleneck;

export const mobilebert: Family<MobilebertConfig> = bottlenecked(
  { type: "mobilebert", tokenizer: "MobileBertTokenizer" },
  "MobileBert",
  // The authors' students have no pooler.
  { defaults: DEFAULTS, paper: { ...DEFAULTS, classifier_activation: false } },
  (config) =>
    wide(config) && config.hidden_size !== config.intra_bottleneck_size
      ? [
          'key_query_shared_bottleneck: expected true, or use_bottleneck_attention: else queries and keys have layers that transformers\' class lacks; write model_type "ibbert" for such a model',
        ]
      : [],
);

export const ibbert: Family<MobilebertConfig> = bottlenecked(
  { type: "ibbert", tokenizer: "BertTokenizer" },
  // transformers has no such classes.
  "Ibbert",
  { defaults: TEACHER, paper: TEACHER },
  () => [],
);
