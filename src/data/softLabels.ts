// Soft labels in columns of the data file, made elsewhere: one column a class, with a teacher's probabilities p or its logits z for each row.
// Probabilities are kept as z = ln p: softmax(ln p / T) = p^(1/T) / Σ p^(1/T), which is softmax(z / T) of the teacher's own logits, since these
// differ from ln p by one number a row (Hinton et al. 2015, arXiv:1503.02531, eq. 1). Only a distance of logits themselves can tell them
// apart. In regression one column holds the teacher's score.

import { InputError } from "../errors.ts";
import { log } from "../math.ts";
import { isInteger, isNumber } from "./table.ts";

export interface SoftLabelColumns {
  /** One a class, in the order of the class ids. */
  readonly columns: readonly (string | number)[];
  /** Probabilities unless said. */
  readonly form?: "probabilities" | "logits";
}

export type SoftForm = "probabilities" | "logits" | "score";

/** Written with two digits a row of a few classes may miss 1 by so much; what it is of logits is left to chance. */
const ROUNDING = 0.01;
/** ln 0, as far as any temperature matters, and a number in f32. */
const LOG_OF_ZERO = -1e30;

/** Logits of one row, or what is wrong with it. */
export function readSoftLabels(
  cells: readonly unknown[],
  titles: readonly string[],
  form: SoftForm,
): number[] | string {
  const numbers = cells.map((cell) => (typeof cell === "string" && isNumber(cell.trim()) ? Number(cell) : cell));
  const wrong = numbers.findIndex((x) => typeof x !== "number" || !Number.isFinite(x));
  if (wrong >= 0) {
    const found = cells[wrong] === undefined || cells[wrong] === "" ? "nothing" : JSON.stringify(cells[wrong]);
    return `${titles[wrong]} should hold a number, a soft label; it holds ${found}.`;
  }
  const row = numbers as number[];
  if (form !== "probabilities") return row;
  const outside = row.findIndex((p) => p < 0 || p > 1);
  const advice = "If these are logits, say --soft-label-form logits.";
  if (outside >= 0) return `${titles[outside]} should hold a probability, it holds ${row[outside]}. ${advice}`;
  const sum = row.reduce((a, b) => a + b, 0);
  if (Math.abs(sum - 1) > ROUNDING)
    return `the probabilities in ${titles.join(", ")} sum to ${Number(sum.toPrecision(6))}, not to 1. ${advice}`;
  return row.map((p) => (p === 0 ? LOG_OF_ZERO : log(p)));
}

/**
 * Class ids of labels beside such columns: those of the columns' names where labels are such names or absent; integers under the number
 * of columns are ids themselves; other names are the columns' in their order, and then there must be as many.
 */
export function classesOfColumns(
  labels: readonly string[],
  names: readonly string[],
  file: string,
): Record<string, number> {
  const ids = (all: readonly string[]) => Object.fromEntries(all.map((name, id) => [name, id]));
  const n = names.length;
  if (labels.every((label) => names.includes(label))) return ids(names);
  if (labels.every((label) => isInteger(label) && Number(label) >= 0 && Number(label) < n))
    return ids(names.map((_, id) => String(id)));
  if (labels.length === n) return ids(labels);
  throw new InputError(
    "SOFT_LABEL_COUNT",
    `${n} columns hold soft labels (${names.map((name) => `"${name}"`).join(", ")}), and there are ${labels.length} different labels (${labels
      .slice(0, 20)
      .map((label) => `"${label}"`)
      .join(
        ", ",
      )}${labels.length > 20 ? ", …" : ""}). Name one column a class with --soft-label-columns, in the order of the labels.`,
    { where: file },
  );
}
