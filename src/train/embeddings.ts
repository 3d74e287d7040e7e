// Word vectors for the tokens of a vocabulary, from a file.

import type { Tokenizer } from "../data/tokenizer.ts";
import { InputError } from "../errors.ts";
import { parseWordVectors } from "../formats/vectors.ts";
import { Random } from "../random.ts";
import type { Tensor } from "./model.ts";

/** A row a token. Tokens that the file lacks (pieces inside of words, special tokens) get normal numbers as far from 0 as its own. */
export function embeddingTable(
  { name, bytes }: { name: string; bytes: Uint8Array },
  { vocabulary }: Tokenizer,
  rows: number,
  seed: number,
): { vectors: Tensor; note: string } {
  const { width, vectors } = parseWordVectors(bytes, name, (word) => vocabulary.has(word));
  if (vectors.size === 0)
    throw new InputError(
      "NO_VECTORS",
      "none of its words is a token of the teacher's vocabulary; is it the right file?",
      {
        where: name,
      },
    );
  let squares = 0;
  for (const vector of vectors.values()) for (const x of vector) squares += x * x;
  const deviation = Math.sqrt(squares / (vectors.size * width));
  const random = new Random(seed, "init/embeddings");
  const rowOf = new Map([...vectors].map(([word, vector]) => [vocabulary.get(word) as number, vector]));
  const data = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++)
    data.set(rowOf.get(row) ?? Float32Array.from({ length: width }, () => random.normal() * deviation), row * width);
  return {
    vectors: { shape: [rows, width], data },
    note: `${name}: vectors of ${width} numbers for ${vectors.size} of ${rows} tokens; the others begin at random`,
  };
}
