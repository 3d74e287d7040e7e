// Masked tokens for a masked-LM (Devlin et al. 2019, arXiv:1810.04805, section 3.1), drawn anew in every epoch: 15 % of a batch's tokens,
// of which 80 % become [MASK], 10 % any token, and 10 % stay as they are. Special tokens are never chosen.
// A token is chosen in proportion to max(n, 1)^−s, n its count in the text: s = 0 treats all alike (BERT), s = 0.7 chooses frequent ones
// less often (DistilBERT's code, `mlm_smoothing`). Drawing without replacement is taking the least of −log(u)/w (Efraimidis & Spirakis 2006),
// so the numbers of a token are a function of seed, epoch, row and place alone.

import { InputError } from "../errors.ts";
import { exp, log } from "../math.ts";
import { Random } from "../random.ts";
import { type Encoded, NONE } from "./batch.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Of a batch's tokens, rounded up. */
export const MASKED_SHARE = 0.15;
const BECOME_MASK = 0.8;
const STAY = 0.1;

export interface Masking {
  readonly maskId: number;
  readonly vocabularySize: number;
  /** By token id; 0 for those that are never chosen. */
  readonly weights: Float64Array;
}

/** `file` names the text, for messages. */
export function maskingOf(tokenizer: Tokenizer, rows: readonly Encoded[], smoothing: number, file: string): Masking {
  const { maskId, specialIds, vocabularySize } = tokenizer;
  if (maskId === undefined)
    throw new InputError("NO_MASK_TOKEN", "masked-LM needs a mask_token, and this tokenizer has none.");
  const counts = new Float64Array(vocabularySize);
  for (const { ids } of rows) for (let i = 0; i < ids.length; i++) counts[ids[i]]++;
  const special = (id: number) => specialIds.has(id);
  if (counts.every((count, id) => count === 0 || special(id)))
    throw new InputError("NOTHING_TO_MASK", "the text has no token that could be masked, only unknown words.", {
      where: file,
    });
  const weights = counts.map((count, id) => (special(id) ? 0 : exp(-smoothing * log(Math.max(count, 1)))));
  return { maskId, vocabularySize, weights };
}

/** A batch with masks. `numbers` say which rows of the text these are. */
export function maskRows(
  rows: readonly Encoded[],
  numbers: ArrayLike<number>,
  { maskId, vocabularySize, weights }: Masking,
  seed: number,
  epoch: number | string,
): Encoded[] {
  const drawn = rows.flatMap(({ ids }, row) => {
    const random = new Random(seed, `mask/epoch/${epoch}/row/${numbers[row]}`);
    return Array.from(ids, (id, place) => ({
      ...{ row, place, weight: weights[id], key: -log(1 - random.uniform()) / weights[id] },
      ...{ fate: random.uniform(), other: random.below(vocabularySize) },
    }));
  });
  const chosen = drawn
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => a.key - b.key)
    .slice(0, Math.ceil(MASKED_SHARE * drawn.length));
  const masked = rows.map(({ ids, segments }) => ({
    ...{ ids: Uint32Array.from(ids), segments, targets: new Uint32Array(ids.length).fill(NONE) },
  }));
  for (const { row, place, fate, other } of chosen) {
    const { ids, targets } = masked[row];
    targets[place] = ids[place];
    if (fate < BECOME_MASK) ids[place] = maskId;
    else if (fate >= BECOME_MASK + STAY) ids[place] = other;
  }
  return masked;
}
