// A tiny BERT and ragged batches for tests that train.

import { type Batch, makeBatch } from "../../src/data/batch.ts";
import type { Executor } from "../../src/executors/executor.ts";
import { labelMaps } from "../../src/formats/config.ts";
import type { BertConfig } from "../../src/models/bert.ts";
import { adamw } from "../../src/optim/adamw.ts";
import { Random } from "../../src/random.ts";
import { recipes } from "../../src/recipes/index.ts";
import { sha256 } from "../../src/sha256.ts";
import { freshWeights, type Weights } from "../../src/train/model.ts";
import { placeWeights, readWeights, Trainer } from "../../src/train/trainer.ts";

export const tinyConfig = (layers: number, width = 24): BertConfig => ({
  ...{ model_type: "bert", vocab_size: 50, hidden_size: width, num_hidden_layers: layers, num_attention_heads: 2 },
  ...{ intermediate_size: 2 * width, hidden_act: "gelu", hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1 },
  ...{ classifier_dropout: null, max_position_embeddings: 40, type_vocab_size: 2, initializer_range: 0.2 },
  ...{ layer_norm_eps: 1e-12, pad_token_id: 0, position_embedding_type: "absolute", problem_type: null },
  ...labelMaps(["no", "yes"]),
});

/** `count` batches of `size` sequences with 1 to 30 tokens; every third row has no label. */
export function tinyBatches(count: number, size: number, seed: number): Batch[] {
  const random = new Random(seed, "tiny");
  return Array.from({ length: count }, () =>
    makeBatch(
      Array.from({ length: size }, (_, i) => {
        const n = 1 + random.below(30);
        const ids = Array.from({ length: n }, () => random.below(50));
        return {
          ids,
          segments: ids.map((_, j) => (2 * j > n ? 1 : 0)),
          label: i % 3 === 2 ? undefined : random.below(2),
        };
      }),
      { size },
    ),
  );
}

export interface TinyRun {
  losses: number[];
  weights: Weights;
}

/** Distils a 4-layer teacher into 2 layers by pkd-skip, dropout on; `fresh` makes a new Trainer (new programs) for every step. */
export async function tinyRun(executor: Executor, steps: number, seed: number): Promise<TinyRun> {
  const [teacher, student] = [tinyConfig(4), tinyConfig(2)];
  placeWeights(executor, "teacher0", freshWeights(teacher, 1));
  placeWeights(executor, "student", freshWeights(student, 2));
  const trainer = new Trainer(
    executor,
    {
      student: { owner: "student", config: student },
      teachers: [{ owner: "teacher0", config: teacher }],
      stage: recipes["pkd-skip"].stages.task,
      regression: false,
      optimizer: adamw,
    },
    { seed },
  );
  const batches = tinyBatches(3, 8, 5);
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    const { loss } = await trainer.step([batches[i % batches.length]], 1e-3, { temperature: 4, alpha: 0.7, beta: 10 });
    losses.push(loss);
  }
  return { losses, weights: await readWeights(executor, "student", student) };
}

/** The bits of the weights, a line a tensor. */
export const bytesOf = (weights: Weights): string =>
  [...weights]
    .map(([path, { data }]) => `${path} ${new Uint32Array(data.buffer, data.byteOffset, data.length).join(" ")}`)
    .join("\n");

export const hashOf = (weights: Weights): Promise<string> => sha256(bytesOf(weights));
