// The losses of a masked-LM head, whose decoder is the table of word embeddings: logits z = x·Eᵀ + b, one number for each of V tokens. Where
// embeddings are narrower than x the head has a table of its own beside them: z = x[0 … E)·Eᵀ + x[E … D)·U + b.
//   hard  Σ_r w[r]·(log Σ_v exp z[r,v] − z[r, label])                          Devlin et al. 2019, arXiv:1810.04805
//   soft  Σ_r w[r]·KL(softmax(z_teacher/T) ‖ softmax(z/T)), without T²         Sanh et al. 2019, arXiv:1910.01108
// Logits of all rows at once would be the largest arrays of a training, so rows go in blocks whose logits, and what is made of them, fit
// into 64 MiB, and the gradient of a block comes right behind it.

import { add, columns, crossEntropy, gather, kl, linear, matmul, softmax, sum } from "../ops/index.ts";
import type { Value } from "../program/value.ts";

/** What logits are made of: rows [R, D] that went through the head's transform, table [V, E], bias [V], beside [D − E, V] if E < D. */
export interface Decoder {
  readonly rows: Value;
  readonly table: Value;
  readonly bias: Value;
  readonly beside?: Value;
}

/** [R, V] */
export function decode({ rows, table, bias, beside }: Decoder): Value {
  if (!beside) return linear(rows, table, bias);
  const [D, E] = [rows.shape[1], table.shape[1]];
  const rest = columns({ x: rows }, { from: E, width: D - E });
  const product = matmul({ a: rest, b: beside }, { transposeA: false, transposeB: false });
  return add(linear(columns({ x: rows }, { from: 0, width: E }), table, bias), product);
}

export interface VocabularyTargets {
  /** labels: u32 [R], NONE where there is none; weight: [R], which carries the mean. */
  readonly hard?: { readonly labels: Value; readonly weight: Value };
  /** The teacher has the student's rows R and vocabulary V, and a width of its own. temperature: [1], weight: [R]. */
  readonly soft?: { readonly teacher: Decoder; readonly temperature: Value; readonly weight: Value };
}

/** Bytes of logits, targets and slopes that live at the same time. */
const MOST = 64 * 2 ** 20;

/** Rows of a block: all of one size or one less. */
function blockRows(R: number, V: number, arrays: number, bytes: number): number {
  const most = Math.max(1, Math.floor(bytes / (4 * V * arrays)));
  return Math.ceil(R / Math.ceil(R / most));
}

/** The terms asked for, [1] each. */
export function vocabularyLoss<T extends VocabularyTargets>(
  student: Decoder,
  { hard, soft }: T,
  bytes = MOST,
): { readonly [K in keyof T]: Value } {
  const { trace } = student.rows;
  const [R] = student.rows.shape;
  // Where they are the sum of two products, both are there with it: the teacher's beside the student's logits.
  const { beside } = soft?.teacher ?? student;
  const size = blockRows(R, student.table.shape[0], (soft ? 3 : 2) + (beside ? 1 : 0), bytes);

  const totals: Record<string, Value> = {};
  const count = (name: string, rows: Value) => {
    const term = sum({ x: rows }, {});
    totals[name] = totals[name] ? add(totals[name], term) : term;
  };
  for (let first = 0; first < R; first += size) {
    const numbers = Array.from({ length: Math.min(size, R - first) }, (_, i) => first + i);
    const ids = size < R ? trace.constant(numbers, "u32") : undefined;
    const some = (table: Value) => (ids ? gather({ table, ids }, {}) : table);
    const rows = some(student.rows);
    const hardRows = hard && { labels: some(hard.labels), weight: some(hard.weight) };
    const softRows = soft && { rows: some(soft.teacher.rows), weight: some(soft.weight) };
    trace.part(() => {
      const logits = decode({ ...student, rows });
      if (hardRows) count("hard", crossEntropy({ logits, ...hardRows }, {}));
      if (!soft || !softRows) return;
      const { teacher, temperature } = soft;
      const targets = softmax({ x: decode({ ...teacher, rows: softRows.rows }), temperature }, {});
      count("soft", kl({ targets, logits, temperature, weight: softRows.weight }, {}));
    });
  }
  return totals as { [K in keyof T]: Value };
}
