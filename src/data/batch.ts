// A batch as plain data: B sequences laid end to end in N token rows, without padding. N is rounded up to a bucket so
// that few programs serve all batches; the rows past the last token belong to no sequence and carry NONE everywhere.
// Row indices sorted by token id, segment and position let the embedding gradients add up without atomics.

import { LimbeckError } from "../errors.ts";
import type { Kind } from "./dataset.ts";

/** "No id" on tail rows, "no label" on unlabelled sequences. */
export const NONE = 0xffffffff;

/** One sequence to batch: what a tokenizer returns, and its label (a class id, or a score for regression). */
export interface Encoded {
  ids: ArrayLike<number>;
  segments: ArrayLike<number>;
  label?: number;
  /** Logits of a teacher. [C] */
  soft?: readonly number[];
  /** What masked tokens were, NONE where nothing is masked. */
  targets?: ArrayLike<number>;
}

export interface BatchOptions {
  /** B: missing sequences are filled with empty ones. */
  size: number;
  kind?: Kind;
  /** N is a multiple of this. */
  rowBucket?: number;
  /** Lmax is a multiple of this. */
  lengthBucket?: number;
  /** Divisors of the losses, when they count more than this batch (gradient accumulation). */
  labelledCount?: number;
  sequenceCount?: number;
  tokenCount?: number;
  maskedCount?: number;
  /** K: rows that may be masked, as a share of N. */
  maskedShare?: number;
  /** K itself, where it is known. */
  maskedMost?: number;
}

export interface Batch {
  kind: Kind;
  /** B */
  sequences: number;
  /** How many of the B are real; the empty ones come last. */
  realSequences: number;
  /** N */
  rows: number;
  /** Lmax: the longest sequence, rounded up. */
  longest: number;
  /** How many of the N rows are real tokens. */
  tokens: number;
  /** K; 0 where nothing is masked. */
  masked: number;
  ids: Uint32Array; // [N]
  segments: Uint32Array; // [N]
  positions: Uint32Array; // [N]
  offsets: Uint32Array; // [B + 1]
  order: Uint32Array; // [N], rows by id
  segmentOrder: Uint32Array; // [N], rows by segment
  positionOrder: Uint32Array; // [N], rows by position
  first: Uint32Array; // [B], the row of [CLS]
  last: Uint32Array; // [B], the last row
  // The two texts of a pair apart, for models that read each by itself: the rows of [CLS], of the first text with its
  // [SEP] (segment 0), and of the second with its own (segment 1), as if they were three sequences.
  textOffsets: Uint32Array; // [3·B + 1]
  firstOfText: Uint32Array; // [B]
  lastOfText: Uint32Array; // [B]
  firstOfPair: Uint32Array; // [B]; the second text's last row is `last`
  labels: Uint32Array; // [B]
  targets: Uint32Array; // [N], what masked tokens were
  maskedRows: Uint32Array; // [K], their rows
  // In f64, which the reference executor keeps; an f32 executor rounds when it is given them.
  scores: Float64Array; // [B]
  softLabels?: Float64Array; // [B·C], logits of a teacher where rows bring them
  labelWeight: Float64Array; // [B], 1/labelledCount or 0
  rowWeight: Float64Array; // [B], 1/sequenceCount or 0
  tokenWeight: Float64Array; // [N], 1/(sequenceCount·length of its sequence) or 0
  eachWeight: Float64Array; // [N], 1/tokenCount or 0
  targetWeight: Float64Array; // [N], 1/maskedCount or 0
}

export function makeBatch(encoded: readonly Encoded[], options: BatchOptions): Batch {
  const { size, kind = "classification", rowBucket = 64, lengthBucket = 16, maskedShare = 0 } = options;
  if (encoded.length === 0 || encoded.length > size) {
    throw new LimbeckError("BATCH_SIZE", `a batch of ${size} sequences needs 1 to ${size}, got ${encoded.length}`);
  }
  let tokens = 0;
  let longest = 0;
  let labelled = 0;
  let masks = 0;
  for (const { ids, segments, label, targets } of encoded) {
    if (ids.length === 0 || ids.length !== segments.length) {
      throw new LimbeckError(
        "BATCH_SEQUENCE",
        `a sequence needs at least one token and a segment for each, got ${ids.length} ids, ${segments.length} segments`,
      );
    }
    tokens += ids.length;
    longest = Math.max(longest, ids.length);
    if (label !== undefined) labelled++;
    masks += countMasked(targets);
  }
  const rows = Math.ceil(tokens / rowBucket) * rowBucket;
  const mostMasks = options.maskedMost ?? Math.ceil(maskedShare * rows);
  const batch: Batch = {
    kind,
    sequences: size,
    realSequences: encoded.length,
    rows,
    longest: Math.ceil(longest / lengthBucket) * lengthBucket,
    tokens,
    masked: mostMasks,
    ids: new Uint32Array(rows).fill(NONE),
    segments: new Uint32Array(rows).fill(NONE),
    positions: new Uint32Array(rows).fill(NONE),
    offsets: new Uint32Array(size + 1).fill(tokens),
    order: new Uint32Array(0),
    segmentOrder: new Uint32Array(0),
    positionOrder: new Uint32Array(0),
    first: new Uint32Array(size).fill(NONE),
    last: new Uint32Array(size).fill(NONE),
    textOffsets: new Uint32Array(3 * size + 1).fill(tokens),
    firstOfText: new Uint32Array(size).fill(NONE),
    lastOfText: new Uint32Array(size).fill(NONE),
    firstOfPair: new Uint32Array(size).fill(NONE),
    labels: new Uint32Array(size).fill(NONE),
    targets: new Uint32Array(rows).fill(NONE),
    maskedRows: new Uint32Array(mostMasks).fill(NONE),
    scores: new Float64Array(size),
    labelWeight: new Float64Array(size),
    rowWeight: new Float64Array(size),
    tokenWeight: new Float64Array(rows),
    eachWeight: new Float64Array(rows),
    targetWeight: new Float64Array(rows),
  };
  const labelWeight = 1 / (options.labelledCount ?? labelled);
  const rowWeight = 1 / (options.sequenceCount ?? encoded.length);
  const eachWeight = 1 / (options.tokenCount ?? tokens);
  const targetWeight = 1 / (options.maskedCount ?? masks);
  let row = 0;
  const C = encoded[0].soft?.length;
  if (C !== undefined) batch.softLabels = new Float64Array(size * C);
  let masked = 0;
  encoded.forEach(({ ids, segments, label, soft, targets }, sequence) => {
    batch.offsets[sequence] = row;
    batch.first[sequence] = row;
    batch.rowWeight[sequence] = rowWeight;
    if (label !== undefined) {
      if (kind === "regression") batch.scores[sequence] = label;
      else batch.labels[sequence] = label;
      batch.labelWeight[sequence] = labelWeight;
    }
    if (soft) batch.softLabels?.set(soft, sequence * soft.length);
    placeTexts(batch, sequence, segments);
    for (let position = 0; position < ids.length; position++, row++) {
      batch.ids[row] = ids[position];
      batch.segments[row] = segments[position];
      batch.positions[row] = position;
      batch.tokenWeight[row] = rowWeight / ids.length;
      batch.eachWeight[row] = eachWeight;
      if (!targets || targets[position] === NONE) continue;
      batch.targets[row] = targets[position];
      batch.targetWeight[row] = targetWeight;
      batch.maskedRows[masked++] = row;
    }
  });
  batch.order = sortedRows(batch.ids);
  batch.segmentOrder = sortedRows(batch.segments);
  batch.positionOrder = sortedRows(batch.positions);
  return batch;
}

/** The divisors of rows that come in several batches and count as one. */
export function countsOf(rows: readonly Encoded[]) {
  const sum = (of: (row: Encoded) => number) => rows.reduce((total, row) => total + of(row), 0);
  return {
    labelledCount: rows.filter(({ label }) => label !== undefined).length,
    sequenceCount: rows.length,
    tokenCount: sum(({ ids }) => ids.length),
    maskedCount: sum(({ targets }) => countMasked(targets)),
  };
}

function countMasked(targets: ArrayLike<number> = []): number {
  return Array.from(targets).filter((target) => target !== NONE).length;
}

/** Where the two texts of a sequence lie; what is no pair, or has no row beside [CLS], has the rows that there are. */
function placeTexts(batch: Batch, sequence: number, segments: ArrayLike<number>): void {
  const first = batch.first[sequence];
  const end = first + segments.length;
  const cut = Array.from(segments).indexOf(1);
  const second = cut < 0 ? end : first + cut;
  batch.textOffsets.set([first, Math.min(first + 1, second), second], 3 * sequence);
  if (second > first + 1) {
    batch.firstOfText[sequence] = first + 1;
    batch.lastOfText[sequence] = second - 1;
  }
  if (end > second) batch.firstOfPair[sequence] = second;
  batch.last[sequence] = end - 1;
}

/** Row indices by ascending value, equal values by ascending row. NONE is the largest u32, so tail rows come last. */
function sortedRows(values: Uint32Array): Uint32Array {
  const rows = values.length;
  // value · N + row is exact in f64 (u32 times fewer than 2^21 rows) and sorts without a comparator.
  const keys = Float64Array.from(values, (value, row) => value * rows + row).sort();
  return Uint32Array.from(keys, (key) => key % rows);
}
