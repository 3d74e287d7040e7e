// A model on a data set: logits of every row, and the metrics of those with a label.

import { type Batch, countsOf, type Encoded, makeBatch } from "../data/batch.ts";
import type { Dataset } from "../data/dataset.ts";
import { MASKED_SHARE, type Masking, maskRows } from "../data/masking.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import type { LimbeckError } from "../errors.ts";
import { isTooLarge } from "../executors/executor.ts";
import { exp } from "../math.ts";
import type { Hyper } from "../recipes/recipe.ts";
import { breather } from "./breather.ts";
import { classes, classificationMetrics, crossEntropyOf, type Metrics, pearson, regressionMetrics } from "./metrics.ts";
import type { Predictor } from "./trainer.ts";

/** Sequences that are evaluated together. */
export const BATCH = 32;

/** Whatever gives logits of a model. A batch may be too large for its device, which then may have to be replaced. */
type Source = Pick<Predictor, "placed" | "logits"> & Relieved;
type MaskedSource = { maskedLoss(batch: Batch): Promise<number> } & Relieved;
interface Relieved {
  relieve?(error: LimbeckError): Promise<void>;
}

/** A data set as token ids, with the number of texts that were cut. */
export interface EncodedSet {
  readonly rows: readonly Encoded[];
  readonly truncated: number;
  readonly regression: boolean;
  /** Of text whose tokens are masked. */
  readonly masking?: Masking;
}

export function encode(dataset: Dataset, tokenizer: Tokenizer, maxLength: number): EncodedSet {
  let truncated = 0;
  const rows = dataset.examples.map(({ text, pair, label, soft }) => {
    const encoding = tokenizer.encode(text, pair, maxLength);
    if (encoding.truncated) truncated++;
    return { ids: encoding.ids, segments: encoding.segments, label, ...(soft ? { soft } : {}) };
  });
  return { rows, truncated, regression: dataset.kind === "regression" };
}

export function truncationNote({ file }: Dataset, { truncated, rows }: EncodedSet, maxLength: number): string {
  return `${file}: ${truncated} of ${rows.length} texts were longer than ${maxLength} tokens and were cut`;
}

/** One sequence alone. Rounded up to 64 rows like other batches, a sentence would mostly be empty rows. */
export function alone(row: Encoded): Batch {
  return makeBatch([row], { size: 1, rowBucket: 16 });
}

/** Logits of all rows, in their order. [rows, C] */
export async function predictAll(predictor: Source, rows: readonly Encoded[]): Promise<Float32Array> {
  const C = predictor.placed.config.num_labels;
  const out = new Float32Array(rows.length * C);
  const breathe = breather();
  await eachByLength(predictor, rows, async (indices, size) => {
    const logits = await predictor.logits(
      makeBatch(
        indices.map((i) => rows[i]),
        { size },
      ),
    );
    indices.forEach((row, i) => {
      out.set(logits.subarray(i * C, (i + 1) * C), row * C);
    });
    await breathe();
  });
  return out;
}

/** Visits rows of similar length together, which need fewer program shapes. */
async function eachByLength(
  source: Relieved,
  rows: readonly Encoded[],
  visit: (indices: readonly number[], size: number) => Promise<void>,
): Promise<void> {
  const order = rows.map((_, i) => i).sort((a, b) => rows[a].ids.length - rows[b].ids.length || a - b);
  await inBatches(source, rows.length, (start, size) => visit(order.slice(start, start + size), size));
}

/** Visits so many rows a batch at a time, from `start` on; where memory does not suffice, half as many. */
export async function inBatches(
  source: Relieved,
  count: number,
  visit: (start: number, size: number) => Promise<void>,
): Promise<void> {
  let size = BATCH;
  for (let start = 0; start < count; )
    try {
      await visit(start, size);
      start += size;
    } catch (error) {
      if (!isTooLarge(error) || size === 1) throw error;
      await source.relieve?.(error);
      size = Math.ceil(size / 2);
    }
}

/** The mean loss of rows, as if all were one batch. */
export async function meanLoss(
  trainer: { loss(batch: Batch, hyper: Hyper): Promise<number> } & Relieved,
  rows: readonly Encoded[],
  hyper: Hyper,
): Promise<Metrics> {
  const counts = countsOf(rows);
  const breathe = breather();
  let loss = 0;
  await eachByLength(trainer, rows, async (indices, size) => {
    const some = indices.map((i) => rows[i]);
    loss += await trainer.loss(makeBatch(some, { size, ...counts }), hyper);
    await breathe();
  });
  return { count: rows.length, loss };
}

/** How well masked tokens are told, behind masks that are the same for every model of the tokenizer. */
export async function perplexity(
  model: MaskedSource,
  { rows, masking }: Pick<EncodedSet, "rows"> & { readonly masking: Masking },
): Promise<Metrics> {
  const breathe = breather();
  let [sum, count] = [0, 0];
  await eachByLength(model, rows, async (indices, size) => {
    const some = indices.map((i) => rows[i]);
    const batch = makeBatch(maskRows(some, indices, masking, 0, "evaluation"), {
      ...{ size, maskedShare: MASKED_SHARE, maskedCount: 1 },
    });
    sum += await model.maskedLoss(batch);
    count += batch.targetWeight.reduce((a, b) => a + b, 0);
    await breathe();
  });
  return { count, loss: sum / count, perplexity: exp(sum / count) };
}

/** Metrics of logits on a data set; with the teacher's logits also the agreement. */
export function score(logits: Float32Array, set: EncodedSet, C: number, teacher?: Float32Array): Metrics {
  const labelled = set.rows.map((_, i) => i).filter((i) => set.rows[i].label !== undefined);
  const truth = labelled.map((i) => set.rows[i].label as number);
  if (set.regression) {
    const metrics = regressionMetrics(
      labelled.map((i) => logits[i]),
      truth,
    );
    return teacher ? { ...metrics, agreement: pearson([...logits], [...teacher]) } : metrics;
  }
  const predicted = classes(logits, C);
  const metrics: Metrics =
    labelled.length > 0
      ? {
          ...classificationMetrics(
            labelled.map((i) => predicted[i]),
            truth,
            C,
          ),
          loss: crossEntropyOf(logits, C, labelled, truth),
        }
      : { count: 0 };
  if (!teacher) return metrics;
  const taught = classes(teacher, C);
  return { ...metrics, agreement: predicted.filter((c, i) => c === taught[i]).length / predicted.length };
}

/** Milliseconds of one sentence at batch 1: the best of three after a warm-up, median over up to 40 rows spread through the set. */
export async function measureLatency(predictor: Source, rows: readonly Encoded[]): Promise<number> {
  const count = Math.min(40, rows.length);
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const batch = alone(rows[Math.floor((i * rows.length) / count)]);
    await predictor.logits(batch);
    let best = Number.POSITIVE_INFINITY;
    for (let turn = 0; turn < 3; turn++) {
      const start = performance.now();
      await predictor.logits(batch);
      best = Math.min(best, performance.now() - start);
    }
    times.push(best);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
}
