// More training texts by words that could stand in the place of others, for a teacher to label (Jiao et al. 2020, arXiv:1909.10351, algorithm 1).
// Every word of letters that is no stop word has K candidates:
//   of one piece     the K tokens that a masked-LM finds most probable in its place; as in the authors' code it reads
//                    [CLS] the text with [MASK] there [SEP] the text [SEP], and pieces of the inside of words do not count
//   of several       the K words whose vectors have the largest cosine with its own
// N_a times each of these words becomes one of its candidates with probability p_t. Of a pair one text changes: N_a times the first, N_a times
// the second. (The code goes on from the last copy of the first by mistake.) Candidates are those of the given text, whatever else changes. What
// repeats a text is dropped. The copies have no label: a teacher gives theirs.

import { Random } from "../../random.ts";
import { type Encoded, NONE } from "../batch.ts";
import type { Example, Examples } from "../examples.ts";
import type { Tokenizer } from "../tokenizer.ts";
import { STOP_WORDS } from "./stopWords.ts";
import { keyOf } from "./words.ts";

/** A word that may be replaced. */
export interface Slot {
  /** Of the text. */
  readonly start: number;
  readonly word: string;
  /** Its ids. */
  readonly pieces: readonly number[];
  /** Where they begin in `ids`. */
  readonly place: number;
}

export interface Slots {
  /** [CLS] text [SEP] text [SEP], cut where that is too long. */
  readonly ids: readonly number[];
  readonly segments: readonly number[];
  readonly slots: readonly Slot[];
}

/** What the tokenizer takes for words, as far as a text has no characters that it removes or takes apart: those are in no slot. */
const WORD = /[^\s\p{P}$+<=>^`|~]+/gu;
const LETTERS = /^[\p{L}\p{M}]+$/u;

export function slotsOf(text: string, tokenizer: Tokenizer, maxLength: number): Slots {
  const pieces = (part: string) => tokenizer.encode(part).ids.slice(1, -1);
  const { ids, segments } = tokenizer.encode(text, text, maxLength);
  const end = segments.indexOf(1) - 1;
  const slots: Slot[] = [];
  let [place, before] = [1, 0];
  for (const { 0: word, index } of text.matchAll(WORD)) {
    const own = pieces(word);
    place += pieces(text.slice(before, index)).length;
    const fits = place + own.length <= end && own.every((id, i) => id === ids[place + i]);
    if (fits && own.length > 0 && LETTERS.test(word) && !STOP_WORDS.has(word.toLowerCase()))
      slots.push({ start: index, word, pieces: own, place });
    place += own.length;
    before = index + word.length;
  }
  return { ids, segments, slots };
}

/** The slot's word behind [MASK], in the first of the two texts. */
export function maskSlot({ ids, segments }: Slots, { place, pieces }: Slot, maskId: number): Encoded {
  const masked = Uint32Array.from(ids);
  masked[place] = maskId;
  const targets = new Uint32Array(ids.length).fill(NONE);
  targets[place] = pieces[0];
  return { ids: masked, segments, targets };
}

/** By id the tokens that are words: no special tokens, no placeholders such as [unused0], no pieces of the inside of a word. */
export function wordTokens({ vocabulary, specialIds, insidePrefix }: Tokenizer): (string | undefined)[] {
  const words: (string | undefined)[] = [];
  for (const [token, id] of vocabulary)
    if (!specialIds.has(id) && !token.startsWith(insidePrefix) && !/^\[.+\]$/.test(token)) words[id] = token;
  return words;
}

/** The K words of the largest values, of equal ones the first. Values are by the words' numbers, which may have gaps. */
export function largest(
  values: ArrayLike<number>,
  words: readonly (string | undefined)[],
  K: number,
  but?: string,
): string[] {
  const best: number[] = [];
  for (let i = 0; i < words.length; i++) {
    if (best.length === K && !(values[i] > values[best[K - 1]])) continue;
    if (words[i] === undefined || words[i] === but) continue;
    let at = Math.min(best.length, K - 1);
    for (; at > 0 && values[i] > values[best[at - 1]]; at--) best[at] = best[at - 1];
    best[at] = i;
  }
  return best.map((i) => words[i] as string);
}

/** Word vectors. */
export interface Vectors {
  /** By their rows, which may have gaps. */
  readonly words: readonly (string | undefined)[];
  readonly table: Float32Array; // [rows, width]
  readonly lengths: Float64Array; // [rows]
  /** Rows whose mean is the vector of a word; none where it has no vector. */
  rowsOf(slot: Slot): readonly number[];
}

/** Length of each row. */
export function lengthsOf(table: Float32Array, width: number): Float64Array {
  const lengths = new Float64Array(table.length / width);
  for (let row = 0; row < lengths.length; row++) {
    let squares = 0;
    for (let at = row * width; at < (row + 1) * width; at++) squares += table[at] * table[at];
    lengths[row] = Math.sqrt(squares);
  }
  return lengths;
}

/** The K words nearest to a slot's by cosine, itself left out. */
export function nearest({ words, table, lengths, rowsOf }: Vectors, slot: Slot, K: number): string[] {
  const rows = rowsOf(slot);
  if (rows.length === 0) return [];
  const width = table.length / lengths.length;
  const query = new Float64Array(width);
  for (const row of rows) for (let i = 0; i < width; i++) query[i] += table[row * width + i];
  // The query's own length changes no order.
  const cosines = new Float64Array(words.length);
  for (let row = 0; row < words.length; row++) {
    let dot = 0;
    for (let i = 0; i < width; i++) dot += table[row * width + i] * query[i];
    cosines[row] = lengths[row] > 0 ? dot / lengths[row] : 0;
  }
  return largest(cosines, words, K, slot.word.toLowerCase());
}

export interface Substitution {
  /** p_t: probability that a word is replaced. */
  readonly pReplace: number;
  /** N_a: draws for each text. */
  readonly iterations: number;
  readonly seed: number;
}

/** A slot's place in its text, and what may stand there. */
export interface Candidates extends Pick<Slot, "start" | "word"> {
  readonly candidates: readonly string[];
}

function draw(text: string, all: readonly Candidates[], pReplace: number, random: Random): string {
  let [out, end] = ["", 0];
  for (const { start, word, candidates } of all) {
    if (candidates.length === 0 || random.uniform() >= pReplace) continue;
    const chosen = candidates[random.below(candidates.length)];
    // An uncased token for the word itself is no other word.
    out += text.slice(end, start) + (chosen === word.toLowerCase() ? word : chosen);
    end = start + word.length;
  }
  return out + text.slice(end);
}

/** Makes new examples of one example after the other. */
export class Substituter {
  readonly #seen: Set<string>;
  #row = 0;

  /** `examples` are all that will come; their texts are not made again. */
  constructor(
    readonly options: Substitution,
    examples: Examples,
  ) {
    this.#seen = new Set(examples.map(({ text, pair }) => keyOf(text, pair)));
  }

  next({ text, pair }: Example, candidatesOf: (text: string) => readonly Candidates[]): Example[] {
    const { seed, pReplace, iterations } = this.options;
    const random = new Random(seed, `augmentation/${this.#row++}`);
    const made: Example[] = [];
    for (const second of pair === undefined ? [false] : [false, true])
      for (let i = 0; i < iterations; i++) {
        const changed = second ? (pair as string) : text;
        const drawn = draw(changed, candidatesOf(changed), pReplace, random);
        const copy: Example = second ? { text, pair: drawn } : { text: drawn, ...(pair === undefined ? {} : { pair }) };
        const key = keyOf(copy.text, copy.pair);
        if (this.#seen.has(key)) continue;
        this.#seen.add(key);
        made.push(copy);
      }
    return made;
  }
}
