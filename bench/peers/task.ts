// What a contender gets to do, in whatever host it runs. All work on the same weights and rows, so their answers can be compared.

import { type Encoded, makeBatch } from "../../src/data/batch.ts";
import type { BertConfig } from "../../src/models/bert.ts";
import type { Weights } from "../../src/train/model.ts";
import { bertConfig, noise, randomWeights, type Sizes } from "./work.ts";

export interface TaskSizes extends Sizes {
  readonly sequences: number;
  readonly length: number;
  /** A square matrix of this size, and how many products of it are chained. */
  readonly square: number;
  readonly products: number;
}

export type Unit = "products" | "forward" | "gradients" | "step";

export interface Task {
  readonly sizes: TaskSizes;
  readonly config: BertConfig;
  readonly weights: Weights;
  readonly encoded: readonly Encoded[];
  /** The embedded rows, for contenders that begin there. [sequences · length, width] */
  readonly rows: Float32Array;
  /** One-hot. [sequences, 2] */
  readonly targets: Float32Array;
  /** Both [square, square]. */
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/** An answer is a few numbers that tell whether the same was computed: a row of the last product, the logits, the loss. */
export type Answer = ArrayLike<number>;

export interface Contender {
  readonly name: string;
  /** What of the work it can do. A call ends when the device is done with all of it. */
  readonly units: Partial<Record<Unit, () => Promise<Answer>>>;
  close(): void;
}

export function makeTask(sizes: TaskSizes): Task {
  const config = bertConfig({ ...sizes, dropout: 0 });
  const weights = randomWeights(config);
  const { sequences, length, square } = sizes;
  const encoded = Array.from({ length: sequences }, (_, s) => ({
    ids: Array.from({ length }, (_, i) => (7919 * (s * length + i) + 13) % config.vocab_size),
    segments: new Array<number>(length).fill(0),
    label: s % 2,
  }));
  return {
    ...{ sizes, config, weights, encoded },
    rows: embedded(config, weights, encoded),
    targets: Float32Array.from({ length: 2 * sequences }, (_, i) => Number(i % 2 === (i >> 1) % 2)),
    a: noise(square * square, 1, 1),
    // So small that products of it do not grow.
    b: noise(square * square, Math.sqrt(3 / square), 2),
  };
}

export const batchOf = ({ encoded, sizes }: Task) => makeBatch(encoded, { size: sizes.sequences });

/** The sum of the three embeddings of every token, normalised. */
function embedded(config: BertConfig, weights: Weights, encoded: readonly Encoded[]): Float32Array {
  const D = config.hidden_size;
  const table = (name: string) => weights.get(`bert.embeddings.${name}_embeddings.weight`)!.data;
  const [words, positions, types] = [table("word"), table("position"), table("token_type")];
  const rows = encoded.flatMap(({ ids }) =>
    Array.from(ids, (id, at) => {
      const sum = Float64Array.from({ length: D }, (_, d) => words[id * D + d] + positions[at * D + d] + types[d]);
      const mean = sum.reduce((a, b) => a + b) / D;
      const variance = sum.reduce((a, b) => a + (b - mean) * (b - mean), 0) / D;
      return sum.map((x) => (x - mean) / Math.sqrt(variance + config.layer_norm_eps));
    }),
  );
  return Float32Array.from(rows.flatMap((row) => [...row]));
}
