// What a classifier says of texts: of a few together, or of a stream of them.

import { exp } from "../math.ts";
import { turn } from "./breather.ts";
import { alone, BATCH, predictAll } from "./evaluate.ts";
import { argmax } from "./metrics.ts";
import { labelsOf, type Model, requirePairs } from "./model.ts";
import type { Predictor } from "./trainer.ts";

export interface Prediction {
  /** The most probable label; absent in regression. */
  readonly label?: string;
  /** Its probability, or the score in regression. */
  readonly score: number;
  /** Probability of every label. */
  readonly probabilities?: Readonly<Record<string, number>>;
  /** The text was longer than the model reads, and was cut. */
  readonly truncated: boolean;
}

export type TextOrPair = string | readonly [text: string, pair: string];

/** In the order of the texts. */
export async function predictTexts(
  predictor: Pick<Predictor, "placed" | "logits">,
  model: Omit<Model, "weights">,
  texts: readonly TextOrPair[],
  maxLength: number,
): Promise<Prediction[]> {
  const rows = texts.map((text) => {
    const [first, pair] = typeof text === "string" ? [text, undefined] : text;
    requirePairs(model, pair !== undefined);
    return model.tokenizer.encode(first, pair, maxLength);
  });
  const C = model.config.num_labels;
  const labels = labelsOf(model.config);
  const logits = rows.length === 1 ? await predictor.logits(alone(rows[0])) : await predictAll(predictor, rows);
  return rows.map(({ truncated }, row) => {
    if (labels === null) return { score: logits[row * C], truncated };
    const best = argmax(logits, row, C);
    const weights = labels.map((_, c) => exp(logits[row * C + c] - logits[row * C + best]));
    const total = weights.reduce((a, b) => a + b, 0);
    const probabilities = Object.fromEntries(labels.map((label, c) => [label, weights[c] / total]));
    return { label: labels[best], score: 1 / total, probabilities, truncated };
  });
}

/** In the order of the texts, as they come: those that are there already are predicted together, and nobody waits for a full batch. */
export async function* predictStream(
  texts: Iterable<TextOrPair> | AsyncIterable<TextOrPair>,
  predict: (texts: readonly TextOrPair[]) => Promise<Prediction[]>,
): AsyncGenerator<Prediction, void> {
  const source = Symbol.asyncIterator in texts ? texts[Symbol.asyncIterator]() : texts[Symbol.iterator]();
  try {
    let next = Promise.resolve(source.next());
    for (let done = false; !done; ) {
      const ready: TextOrPair[] = [];
      for (let waits = true; waits; ) {
        const result = await next;
        if (result.done) done = true;
        else {
          ready.push(result.value);
          next = Promise.resolve(source.next());
        }
        waits = !done && ready.length < BATCH && (await isThere(next));
      }
      yield* await predict(ready);
    }
  } finally {
    await source.return?.();
  }
}

/** Whether a promise settles before the next turn of the event loop. */
function isThere(promise: Promise<unknown>): Promise<boolean> {
  const settled = promise.then(
    () => true,
    () => true,
  );
  return Promise.race([settled, turn().then(() => false)]);
}
