// More training texts from those that are there, for a teacher to label (Tang et al. 2019, arXiv:1903.12136, section 3.3):
//   1  for each word draw u ~ U[0, 1): u < p_mask: the word becomes [MASK]; else u < p_mask + p_pos: it becomes a word that has the same
//      part of speech, drawn from all words of the training texts that have it, so by frequency; else it stays
//   2  with probability p_ng only an n-gram of the result stays, n from 1 to 5
// n_iter times for each text. Of a pair one text changes (2 times in 3, either one), or both. What repeats a text, or has no word of its
// own left, is dropped. Words are what stands between white space. The copies have no label: a teacher gives theirs.

import { Random } from "../../random.ts";
import type { Example, Examples } from "../examples.ts";

export interface WordAugmentation {
  /** p_mask, p_pos and p_ng of the paper. */
  readonly pMask: number;
  readonly pPos: number;
  readonly pNg: number;
  /** n_iter: draws for each text. */
  readonly iterations: number;
  readonly seed: number;
}

const LONGEST = 5;
export const MASK = "[MASK]";

/** The part of speech of each word; "" where there is none. */
export type Tags = readonly string[];
export type Tagged = readonly [text: Tags, pair: Tags];

export const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== "");

/** Equal for examples of the same words. */
export const keyOf = (text: string, pair: string | undefined): string =>
  JSON.stringify([wordsOf(text), wordsOf(pair ?? "")]);

/** All words of each part of speech, as often as they occur. */
function wordsByTag(examples: Examples, tags: readonly Tagged[]): Map<string, string[]> {
  const byTag = new Map<string, string[]>();
  for (let row = 0; row < examples.length; row++) {
    const { text, pair = "" } = examples.at(row);
    [text, pair].forEach((part, side) => {
      wordsOf(part).forEach((word, i) => {
        const tag = tags[row][side][i];
        if (tag === "") return;
        const known = byTag.get(tag);
        if (known) known.push(word);
        else byTag.set(tag, [word]);
      });
    });
  }
  return byTag;
}

/** One draw from a text; undefined when none of its words is left. */
function draw(
  text: string,
  tags: Tags | undefined,
  byTag: ReadonlyMap<string, readonly string[]>,
  { pMask, pPos, pNg }: WordAugmentation,
  random: Random,
): string | undefined {
  let kept = 0;
  const words = wordsOf(text).map((word, i) => {
    const u = random.uniform();
    if (u < pMask) return MASK;
    const others = u < pMask + pPos && tags ? byTag.get(tags[i]) : undefined;
    if (others) return others[random.below(others.length)];
    kept++;
    return word;
  });
  if (kept === 0) return undefined;
  if (random.uniform() >= pNg) return words.join(" ");
  const n = Math.min(words.length, 1 + random.below(LONGEST));
  const first = random.below(words.length - n + 1);
  return words.slice(first, first + n).join(" ");
}

/** The new examples alone. `tags` by row: absent, words are not replaced by others (p_pos is not used). */
export function augmentWords(examples: Examples, options: WordAugmentation, tags?: readonly Tagged[]): Example[] {
  const byTag = tags ? wordsByTag(examples, tags) : new Map<string, string[]>();
  const seen = new Set(examples.map(({ text, pair }) => keyOf(text, pair)));
  const made: Example[] = [];
  for (let row = 0; row < examples.length; row++) {
    const { text, pair } = examples.at(row);
    const random = new Random(options.seed, `augmentation/${row}`);
    for (let i = 0; i < options.iterations; i++) {
      const both = pair === undefined || random.below(3) === 2;
      const side = both ? undefined : random.below(2);
      const newText = side === 1 ? text : draw(text, tags?.[row][0], byTag, options, random);
      const newPair = side === 0 || pair === undefined ? pair : draw(pair, tags?.[row][1], byTag, options, random);
      if (newText === undefined || (pair !== undefined && newPair === undefined)) continue;
      const key = keyOf(newText, newPair);
      if (seen.has(key)) continue;
      seen.add(key);
      made.push({ text: newText, ...(newPair === undefined ? {} : { pair: newPair }) });
    }
  }
  return made;
}
