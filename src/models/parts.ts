// What several models are made of, parameter for parameter as PyTorch's modules keep them.

import { Unary } from "../../assembly/opcodes.ts";
import {
  attentionMix,
  attentionPairs,
  dropoutAt,
  gather,
  half,
  layerNorm,
  linear,
  softmax,
  unary,
} from "../ops/index.ts";
import type { Scope } from "../program/scope.ts";
import type { Value } from "../program/value.ts";
import type { BatchValues, Features } from "./features.ts";

/** Activations by their names in config.json. */
export const ACTIVATIONS = {
  gelu: Unary.gelu,
  gelu_new: Unary.geluTanh,
  gelu_pytorch_tanh: Unary.geluTanh,
  relu: Unary.relu,
} as const;

export type Activation = keyof typeof ACTIVATIONS;

/** y = x·Wᵀ + b; in mixed precision x and W are rounded, b and y are not. */
export function dense(scope: Scope, x: Value, outputs: number): Value {
  const weight = scope.parameter("weight", [outputs, x.shape[1]]);
  return linear(operand(scope, x), operand(scope, weight), scope.parameter("bias", [outputs]));
}

function operand({ halves }: Scope, value: Value): Value {
  if (!halves) return value;
  const rounded = halves.get(value) ?? half({ x: value }, {});
  halves.set(value, rounded);
  return rounded;
}

export function norm(scope: Scope, x: Value, epsilon: number): Value {
  const D = x.shape[1];
  return layerNorm({ x, gamma: scope.parameter("weight", [D]), beta: scope.parameter("bias", [D]) }, { epsilon });
}

/** Rows of a table of `rows` rows. `order` sorts the ids, for the gradient. */
export function embed(scope: Scope, rows: number, width: number, ids: Value, order: Value): Value {
  return gather({ table: scope.parameter("weight", [rows, width]), ids, order }, {});
}

/**
 * Every token attends to those of its sequence with H heads: softmax(q·kᵀ/√d)·v, d the width of a head. All [N, D]. Or only the first of each,
 * whose `rows` are given: query and context [B, D].
 */
export function attend(
  scope: Scope,
  { query, key, value }: { query: Value; key: Value; value: Value },
  { offsets, longest: L }: BatchValues,
  H: number,
  dropout: number,
  rows?: Value,
): { scores: Value; context: Value } {
  const scale = 1 / Math.sqrt(query.shape[1] / H);
  const which = rows ? ({ bySequence: true } as const) : {};
  const scores = attentionPairs({ q: query, k: key, offsets }, { H, L, scale, ...which });
  const p = dropoutAt(scope, "dropout", softmax({ x: scores, offsets }, which), dropout, rows);
  return { scores, context: attentionMix({ p, v: value, offsets }, { scale: 1, ...which }) };
}

/** What a transformer layer shows. */
export interface Layer {
  readonly hidden: Value;
  /** Some rows of `hidden`, made from these rows alone behind the attention: [R] → [R, D]. A row of NONE is one that nobody reads. */
  readonly some: (rows: Value) => Value;
  /**
   * Of each sequence the first row, from whose query on nothing else is made. [B, D] That query is traced before keys and values and has a
   * gather of its own: so gradients of the layer's input add up in the order in which those of all rows do, and no bit differs.
   */
  readonly cls: () => Value;
  readonly scores: Value;
  readonly query: Value;
  readonly key: Value;
  readonly value: Value;
}

/** Of a layer's rows those in `rows`, or all. */
export function rowsOf(x: Value, rows?: Value): Value {
  return rows ? gather({ table: x, ids: rows }, {}) : x;
}

/** Features of a stack of layers, one after the other. What nobody reads is left out of a program: of the last layer, mostly all rows but [CLS]. */
export function layerFeatures(layers: readonly Layer[], batch: BatchValues) {
  const last = layers.length - 1;
  return {
    hidden: layers.map(({ hidden }) => hidden),
    cls: layers.map(({ hidden, cls }, i) => (i === last ? cls() : rowsOf(hidden, batch.first))),
    scores: layers.map(({ scores }) => scores),
    queries: layers.map(({ query }) => query),
    keys: layers.map(({ key }) => key),
    values: layers.map(({ value }) => value),
  };
}

/**
 * A masked-LM head, y = LayerNorm(f(x·Wᵀ + b)) and logits y·Eᵀ + c, E the word embeddings (Devlin et al. 2019, arXiv:1810.04805). Where
 * these are narrower than x, `embedding` wide, the decoder has a table of its own beside them.
 */
export function maskedLm(
  head: { readonly dense: Scope; readonly norm: Scope; readonly decoder: Scope; readonly words: Scope },
  { hidden: x, some }: Layer,
  { masks }: BatchValues,
  V: number,
  {
    activation,
    epsilon,
    embedding,
  }: { readonly activation: Activation; readonly epsilon: number; readonly embedding?: number },
): Partial<Features> {
  const D = x.shape[1];
  const E = embedding ?? D;
  const table = head.words.parameter("weight", [V, E]);
  const bias = head.decoder.parameter("bias", [V]);
  const beside = E < D && { beside: head.decoder.in("dense").parameter("weight", [D - E, V]) };
  const decoder = (rows: Value) => {
    const inner = unary({ x: dense(head.dense, rows, D) }, { kind: ACTIVATIONS[activation] });
    return { rows: norm(head.norm, inner, epsilon), table, bias, ...beside };
  };
  const masked = masks && { masked: decoder(some(masks.rows)) };
  return { vocabulary: decoder(x), ...masked };
}
