// The bidirectional LSTM of Distilled BiLSTM (Tang et al. 2019, arXiv:1903.12136), whose parameters are those of a PyTorch module with
// `lstm = nn.LSTM(2·E, H, bidirectional=True)` and linear layers `fc` and `classifier`. Two channels of word vectors side by side, one that
// training leaves alone:
//   x = [trained[id], frozen[id]]    s = [last h forwards, first h backwards]    logits = classifier(dropout(relu(fc(s))))
// For pairs it is siamese: each text by itself, and fc reads [a, b, |a − b|, a·b] of their states.

import * as v from "valibot";
import { Unary } from "../../assembly/opcodes.ts";
import { type CommonConfig, flag, integer, probability } from "../formats/config.ts";
import { add, concat, dropoutAt, gather, linear, lstm, mul, sub, unary } from "../ops/index.ts";
import type { Scope } from "../program/scope.ts";
import type { Value } from "../program/value.ts";
import { type Family, inherited } from "./family.ts";
import type { BatchValues, Features } from "./features.ts";
import { dense } from "./parts.ts";

export interface BilstmConfig extends CommonConfig {
  model_type: "bilstm";
  /** E: width of each of the two channels. */
  embedding_size: number;
  /** H: units of each direction. */
  hidden_size: number;
  /** Width of fc. */
  classifier_size: number;
  classifier_dropout: number;
  /** Reads pairs, each text by itself. */
  siamese: boolean;
}

const DEFAULTS = { classifier_size: 200, classifier_dropout: 0.1, siamese: false } as const;
/** Units of each direction, for SST-2 and MNLI. */
const UNITS = 150;

/** States of both directions for every row. Both [N, H]. */
function bothWays(scope: Scope, H: number, x: Value, offsets: Value): [forward: Value, backward: Value] {
  const direction = (suffix: string, reverse: boolean) => {
    const parameter = (name: string, shape: number[]) => scope.parameter(`${name}_l0${suffix}`, shape);
    const bias = add(parameter("bias_ih", [4 * H]), parameter("bias_hh", [4 * H]));
    const gates = linear(x, parameter("weight_ih", [4 * H, x.shape[1]]), bias);
    return lstm({ x: gates, weight: parameter("weight_hh", [4 * H, H]), offsets }, { reverse });
  };
  return [direction("", false), direction("_reverse", true)];
}

const beside = (...parts: readonly Value[]): Value => parts.reduce((a, b) => concat({ a, b }, {}));

function trace(scope: Scope, config: BilstmConfig, batch: BatchValues): Pick<Features, "embedding" | "logits"> {
  const table: [string, number[]] = ["weight", [config.vocab_size, config.embedding_size]];
  const { ids, order } = batch;
  const words = scope.in("embeddings");
  const embedding = beside(
    gather({ table: words.in("trained").parameter(...table), ids, order }, {}),
    gather({ table: words.in("frozen").fixed(...table), ids, order }, {}),
  );
  const offsets = config.siamese ? batch.textOffsets : batch.offsets;
  const [forward, backward] = bothWays(scope.in("lstm"), config.hidden_size, embedding, offsets);
  const state = (first: Value, last: Value) =>
    beside(gather({ table: forward, ids: last }, {}), gather({ table: backward, ids: first }, {}));
  let read: Value;
  if (config.siamese) {
    const [a, b] = [state(batch.firstOfText, batch.lastOfText), state(batch.firstOfPair, batch.last)];
    read = beside(a, b, unary({ x: sub(a, b) }, { kind: Unary.abs }), mul(a, b));
  } else read = state(batch.first, batch.last);
  const inner = unary({ x: dense(scope.in("fc"), read, config.classifier_size) }, { kind: Unary.relu });
  const dropped = dropoutAt(scope, "dropout", inner, config.classifier_dropout);
  return { embedding, logits: dense(scope.in("classifier"), dropped, config.num_labels) };
}

export const bilstm: Family<BilstmConfig> = {
  type: "bilstm",
  // transformers has no such class.
  architecture: "BilstmForSequenceClassification",
  body: "BilstmModel",
  tokenizer: "BertTokenizer",
  fields: {
    embedding_size: integer(1),
    hidden_size: integer(1),
    classifier_size: v.optional(integer(1), DEFAULTS.classifier_size),
    classifier_dropout: v.optional(probability, DEFAULTS.classifier_dropout),
    siamese: v.optional(flag, DEFAULTS.siamese),
  },
  prefix: "",
  parts: [],
  aside: [],
  head: ["classifier.", "fc."],
  layers: "lstm.",
  words: "embeddings.trained.weight",
  vectors: ["embeddings.trained.weight", "embeddings.frozen.weight"],
  trace,
  usage: "[:H[xFC]]",
  parse: (text) => {
    const numbers = /^(?::(\d+)(?:x(\d+))?)?$/.exec(text);
    if (!numbers) return undefined;
    const [width = UNITS, inner = DEFAULTS.classifier_size] = numbers.slice(1);
    return { layers: 1, width: Number(width), heads: 1, inner: Number(inner) };
  },
  size: ({ hidden_size, classifier_size }) => ({ layers: 1, width: hidden_size, heads: 1, inner: classifier_size }),
  sized: ({ width, inner }, like) => ({
    ...inherited<BilstmConfig>(like, "bilstm", { ...DEFAULTS, embedding_size: width }),
    hidden_size: width,
    classifier_size: inner,
  }),
  pairsOnly: ({ siamese }) => siamese,
  // The authors' code drops nothing out where it reads pairs.
  suited: (config, { vectors, pair }) => ({
    ...config,
    ...{ embedding_size: vectors, siamese: pair, classifier_dropout: pair ? 0 : config.classifier_dropout },
  }),
  // As PyTorch makes its modules: uniform within 1/√fan-in, which for all of an LSTM is its units.
  fresh: (path, shape, config, random) => {
    if (path.startsWith("embeddings.")) return undefined;
    const { hidden_size: H, classifier_size, siamese } = config;
    const fanIn = path.startsWith("lstm.") ? H : path.startsWith("fc.") ? (siamese ? 8 : 2) * H : classifier_size;
    const bound = 1 / Math.sqrt(fanIn);
    const count = shape.reduce((a, b) => a * b, 1);
    return Float32Array.from({ length: count }, () => (2 * random.uniform() - 1) * bound);
  },
};
