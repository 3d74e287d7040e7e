// Plain text as rows of tokens. Stages that compare states read a text as the task's rows, cut to its length; stages over the vocabulary
// lose none of it: a text longer than that goes in pieces, each between [CLS] and [SEP].

import type { Encoded } from "../data/batch.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Examples } from "../data/examples.ts";
import { maskingOf } from "../data/masking.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { InputError } from "../errors.ts";
import { masksTokens } from "../recipes/recipe.ts";
import { readsVocabulary } from "../recipes/vocabulary.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { sha256 } from "../sha256.ts";
import { type EncodedSet, encode } from "./evaluate.ts";
import { type DataSource, openData } from "./session.ts";
import type { RunStage } from "./stages.ts";

/** One file, or several one behind the other. */
export async function openText(runtime: Runtime, text: DataSource | readonly DataSource[]): Promise<Dataset> {
  const files: Dataset[] = [];
  for (const source of Array.isArray(text) ? text : [text]) files.push(await openData(runtime, source, {}));
  if (files.length === 1) return files[0];
  return {
    ...{ file: files.map(({ file }) => file).join(", "), pair: false, kind: "classification", label2id: undefined },
    examples: files.map(({ examples }) => examples).reduce((all, some) => all.concat(some)),
    labelled: files.reduce((sum, { labelled }) => sum + labelled, 0),
    notes: files.flatMap(({ notes }) => notes),
    fingerprint: await sha256(files.map(({ fingerprint }) => fingerprint).join("\n")),
  };
}

/** The last part of a text, by which what is learnt from the others is judged. */
export function heldOut(text: Dataset): { text: Dataset; evalText: Dataset } {
  const count = Math.ceil(text.examples.length / HELD_OUT);
  if (count === text.examples.length)
    throw new InputError("SHORT_TEXT", "one text cannot be trained on and held out; give more lines, or --eval-text.", {
      where: text.file,
    });
  const cut = text.examples.length - count;
  const part = (name: string, examples: Examples, notes: string[]): Dataset => ({
    ...{ ...text, file: name, examples, notes },
    labelled: examples.map(({ label }) => Number(label !== undefined)).reduce((sum, one) => sum + one),
  });
  return {
    text: part(text.file, text.examples.slice(0, cut), text.notes),
    evalText: part(`${text.file}, last ${count} rows`, text.examples.slice(cut, text.examples.length), []),
  };
}

/** One row of so many. */
const HELD_OUT = 20;

/** The rows of stages on plain text: those that read it alike share them. */
export class TextRows {
  readonly #made = new Map<string, EncodedSet>();

  constructor(
    readonly text: Dataset,
    readonly tokenizer: Tokenizer,
    readonly maxLength: number,
  ) {}

  /** smoothing: of masked tokens; 0 favours none. */
  of({ stage, options }: RunStage, smoothing = options.mlmSmoothing ?? 0): EncodedSet {
    const { text, tokenizer, maxLength } = this;
    const make = {
      cut: () => withoutLabels(encode(text, tokenizer, maxLength)),
      pieces: () => ({ rows: pieces(text, tokenizer, maxLength), truncated: 0, regression: false }),
      masked: () => maskedRows(text, tokenizer, maxLength, smoothing),
    };
    const how = masksTokens(stage) ? "masked" : readsVocabulary(stage) ? "pieces" : "cut";
    const key = `${how} ${smoothing}`;
    const known = this.#made.get(key) ?? make[how]();
    this.#made.set(key, known);
    return known;
  }
}

function maskedRows(text: Dataset, tokenizer: Tokenizer, maxLength: number, smoothing: number): EncodedSet {
  const rows = pieces(text, tokenizer, maxLength);
  return { rows, truncated: 0, regression: false, masking: maskingOf(tokenizer, rows, smoothing, text.file) };
}

function pieces({ examples, file }: Dataset, tokenizer: Tokenizer, maxLength: number): Encoded[] {
  const room = maxLength - 2;
  if (room < 1)
    throw new InputError("MAX_LENGTH", `${maxLength} tokens leave no room between [CLS] and [SEP].`, {
      where: "--max-length",
    });
  const rows: Encoded[] = [];
  for (const { text, pair } of examples)
    for (const one of [text, pair ?? []].flat()) {
      const { ids } = tokenizer.encode(one);
      const inner = ids.slice(1, -1);
      for (let at = 0; at < inner.length; at += room) {
        const piece = [ids[0], ...inner.slice(at, at + room), ids[ids.length - 1]];
        rows.push({ ids: piece, segments: piece.map(() => 0) });
      }
    }
  if (rows.length > 0) return rows;
  throw new InputError("EMPTY_FILE", "the text has no token; at least one is needed.", { where: file });
}

const withoutLabels = (set: EncodedSet): EncodedSet => ({
  ...set,
  rows: set.rows.map(({ ids, segments }) => ({ ids, segments })),
});
