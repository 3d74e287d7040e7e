// What a model is judged by, computed on the host from logits. Only + − × ÷, sqrt and math.ts, so every engine agrees.

import { exp, log } from "../math.ts";

export interface Metrics {
  /** Rows with a label; where plain text judges, all rows. */
  count: number;
  /** Mean cross-entropy; in regression the mean squared error; of a stage on plain text without masks its own loss. */
  loss?: number;
  /** e to the mean cross-entropy of masked tokens; `count` is of these. */
  perplexity?: number;
  accuracy?: number;
  /** Binary: of class 1; otherwise the mean over classes (macro). */
  f1?: number;
  matthews?: number;
  pearson?: number;
  spearman?: number;
  /** Share of all rows on which the student's class is the teacher's; in regression the Pearson correlation of their scores. */
  agreement?: number;
}

export function argmax(logits: Float32Array, row: number, classes: number): number {
  let best = 0;
  for (let c = 1; c < classes; c++) if (logits[row * classes + c] > logits[row * classes + best]) best = c;
  return best;
}

export function classes(logits: Float32Array, width: number): number[] {
  return Array.from({ length: logits.length / width }, (_, row) => argmax(logits, row, width));
}

/** Mean of log Σ exp(z) − z[truth] over the given rows of [rows, C] logits. */
export function crossEntropyOf(
  logits: Float32Array,
  C: number,
  rows: readonly number[],
  truth: readonly number[],
): number {
  const losses = rows.map((row, i) => {
    const z = Array.from(logits.subarray(row * C, (row + 1) * C));
    const most = Math.max(...z);
    return most + log(z.reduce((sum, x) => sum + exp(x - most), 0)) - z[truth[i]];
  });
  return losses.reduce((a, b) => a + b, 0) / losses.length;
}

/** Confusion counts [truth][prediction]. */
function confusion(predicted: readonly number[], truth: readonly number[], C: number): number[][] {
  const counts = Array.from({ length: C }, () => new Array<number>(C).fill(0));
  truth.forEach((t, i) => {
    counts[t][predicted[i]]++;
  });
  return counts;
}

export function classificationMetrics(predicted: readonly number[], truth: readonly number[], C: number): Metrics {
  const counts = confusion(predicted, truth, C);
  const n = truth.length;
  const trueOf = counts.map((row) => row.reduce((a, b) => a + b, 0));
  const predictedOf = counts.map((_, c) => counts.reduce((sum, row) => sum + row[c], 0));
  const right = counts.reduce((sum, row, c) => sum + row[c], 0);
  const f1Of = (c: number) => (2 * counts[c][c]) / Math.max(1, trueOf[c] + predictedOf[c]);
  const present = trueOf.map((_, c) => c).filter((c) => trueOf[c] + predictedOf[c] > 0);
  const f1 = C === 2 ? f1Of(1) : present.reduce((sum, c) => sum + f1Of(c), 0) / present.length;
  // Matthews correlation for any number of classes (Gorodkin 2004).
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + x * b[i], 0);
  const spread = Math.sqrt((n * n - dot(predictedOf, predictedOf)) * (n * n - dot(trueOf, trueOf)));
  const matthews = spread === 0 ? 0 : (right * n - dot(trueOf, predictedOf)) / spread;
  return { count: n, accuracy: right / n, f1, matthews };
}

/** 0 where one side is constant. */
export function pearson(a: readonly number[], b: readonly number[]): number {
  const mean = (x: readonly number[]) => x.reduce((s, v) => s + v, 0) / x.length;
  const [ma, mb] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  a.forEach((x, i) => {
    ab += (x - ma) * (b[i] - mb);
    aa += (x - ma) * (x - ma);
    bb += (b[i] - mb) * (b[i] - mb);
  });
  return aa === 0 || bb === 0 ? 0 : ab / Math.sqrt(aa * bb);
}

/** Ranks from 1, equal values sharing their mean rank. */
function ranks(x: readonly number[]): number[] {
  const order = x.map((_, i) => i).sort((i, j) => x[i] - x[j]);
  const result = new Array<number>(x.length);
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end < order.length && x[order[end]] === x[order[start]]) end++;
    for (let k = start; k < end; k++) result[order[k]] = (start + end + 1) / 2;
    start = end;
  }
  return result;
}

export function regressionMetrics(predicted: readonly number[], truth: readonly number[]): Metrics {
  return {
    count: truth.length,
    loss: truth.reduce((sum, t, i) => sum + (predicted[i] - t) * (predicted[i] - t), 0) / truth.length,
    pearson: pearson(predicted, truth),
    spearman: pearson(ranks(predicted), ranks(truth)),
  };
}

/** Metrics by which one evaluation may be better than another. */
export const BEST_BY = [
  "accuracy",
  "f1",
  "matthews",
  "pearson",
  "spearman",
  "agreement",
  "loss",
  "perplexity",
] as const;
export type BestBy = (typeof BEST_BY)[number];

/** Of equal ones the first is the best, and what is no number never is. */
export function isBetter(metric: BestBy, value: number, than: number | undefined): boolean {
  if (!Number.isFinite(value) || than === undefined) return Number.isFinite(value);
  return metric === "loss" || metric === "perplexity" ? value < than : value > than;
}
