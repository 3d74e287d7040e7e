// What a cell leaves in bench/results/quality.jsonl: a line of each student, of each teacher, and of each run on plain text.

import type { Training } from "./presets.ts";

/** Everything that decides how a student comes out; two lines with equal settings are the same. */
export interface Settings {
  /** "hard": on labels alone, whichever preset it is the baseline of. */
  readonly preset: string;
  readonly recipe: string;
  readonly training: Training;
  readonly task: string;
  readonly student: string;
  readonly rows: number;
  readonly seed: number;
  /** SHA-256 of the training rows, and of the weights of the teacher and of what training on the task begins with. */
  readonly data: string;
  readonly teacher: string;
  readonly start: string;
}

export interface Judgement {
  /** Right answers on each of the held-out files, row by row: "1" or "0", packed four to a hexadecimal digit. */
  readonly right: readonly string[];
  readonly rows: readonly number[];
  readonly accuracy: readonly number[];
  readonly parameters: number;
  /** Of model.safetensors. */
  readonly bytes: number;
  readonly version: string;
}

export interface Student extends Judgement {
  readonly kind: "student";
  readonly settings: Settings;
  /** Share of the held-out rows on which student and teacher say the same, and mean KL(teacher ‖ student) there. */
  readonly agreement: number;
  readonly kl: number;
  /** Milliseconds of a sentence at batch 1, tokens included; the teacher's beside it, taken in turns. */
  readonly milliseconds: number;
  readonly teacherMilliseconds: number;
  /** Of training on the task. */
  readonly seconds: number;
  /** SHA-256 of model.safetensors. */
  readonly weights: string;
}

export interface Teacher extends Judgement {
  readonly kind: "teacher";
  readonly task: string;
  readonly teacher: string;
}

/** Of a run on plain text: perplexity of masked tokens or the stage's own loss on held-out text, before and after each stage. */
export interface Text {
  readonly kind: "text";
  readonly preset: string;
  readonly weights: string;
  readonly stages: Readonly<Record<string, { readonly before: Measure; readonly after: Measure }>>;
  readonly version: string;
}

export interface Measure {
  readonly perplexity?: number;
  readonly loss?: number;
}

export type Line = Student | Teacher | Text;

export function pack(right: readonly boolean[]): string {
  const digits = Array.from({ length: Math.ceil(right.length / 4) }, (_, i) =>
    [0, 1, 2, 3].reduce((sum, bit) => sum + (right[4 * i + bit] ? 1 << bit : 0), 0).toString(16),
  );
  return digits.join("");
}

export const unpack = (packed: string, count: number): boolean[] =>
  Array.from({ length: count }, (_, i) => ((Number.parseInt(packed[i >> 2], 16) >> (i & 3)) & 1) === 1);

/** As JSON gives it back: without what is undefined. */
export const plain = (settings: object): unknown => JSON.parse(JSON.stringify(settings));
