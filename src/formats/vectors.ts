// Word vectors as text, the format of GloVe (https://nlp.stanford.edu/projects/glove/: "word x₁ … x_D" a line) and of word2vec's text files
// (the same behind a first line "count D"). Of a large file only the lines of wanted words are read as numbers.

import { InputError } from "../errors.ts";
import { quote } from "./files.ts";

export interface WordVectors {
  readonly width: number;
  /** Those that were wanted and found. */
  readonly vectors: ReadonlyMap<string, Float32Array>;
}

const [SPACE, NEWLINE] = [0x20, 0x0a];

export function parseWordVectors(bytes: Uint8Array, file: string, wanted: (word: string) => boolean): WordVectors {
  const decoder = new TextDecoder();
  const vectors = new Map<string, Float32Array>();
  let width: number | undefined;
  for (let start = 0, line = 1; start < bytes.length; line++) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline;
    const content = bytes.subarray(start, end);
    const cells = () => decoder.decode(content).trim().split(" ");
    if (width === undefined) {
      const first = cells();
      const header = first.length === 2 && first.every((cell) => /^\d+$/.test(cell));
      width = header ? Number(first[1]) : first.length - 1;
      if (width < 1)
        fail(file, line, `expected a word and its numbers, with single spaces between, found ${quote(first[0])}.`);
      if (header) {
        start = end + 1;
        continue;
      }
    }
    const space = content.indexOf(SPACE);
    const word = decoder.decode(space < 0 ? content : content.subarray(0, space));
    if (wanted(word) && !vectors.has(word)) {
      const found = cells();
      // A few "words" of the large GloVe files hold spaces; none of these is a token.
      if (found.length <= width) fail(file, line, `${quote(word)} has ${found.length - 1} numbers, expected ${width}.`);
      if (found.length === width + 1) vectors.set(word, numbers(found.slice(1), file, line));
    }
    start = end + 1;
  }
  return { width: width ?? 0, vectors };
}

function numbers(cells: readonly string[], file: string, line: number): Float32Array {
  const values = Float32Array.from(cells, (cell) => (cell === "" ? Number.NaN : Number(cell)));
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) fail(file, line, `expected a number, found ${quote(cells[bad])}.`);
  return values;
}

function fail(file: string, line: number, message: string): never {
  throw new InputError("BAD_VECTORS", message, { where: `${file}:${line}` });
}
