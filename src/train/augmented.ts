// The task's rows and copies of them, as the recipe says; those that need a model are made later (substitutes.ts).

import { tagExamples } from "../data/augmentation/tags.ts";
import { augmentWords } from "../data/augmentation/words.ts";
import { Examples } from "../data/examples.ts";
import { type Recipe, substitutes } from "../recipes/recipe.ts";
import type { Data } from "./train.ts";

export async function augmented(data: Data, { augmentation }: Recipe, seed: number): Promise<Data> {
  const { train } = data;
  if (!augmentation || substitutes(augmentation)) return data;
  const { nIter, pairNIter, ...probabilities } = augmentation;
  const iterations = train.pair ? pairNIter : nIter;
  if (iterations === 0) return data;
  const tags = probabilities.pPos > 0 ? await tagExamples(train.examples, train.file) : undefined;
  const made = augmentWords(train.examples, { ...probabilities, iterations, seed }, tags);
  const note = `${train.file}: ${made.length} texts were made of its ${train.examples.length}; they have no labels`;
  return {
    ...data,
    train: { ...train, examples: train.examples.concat(Examples.of(made)) },
    notes: [...data.notes, note],
  };
}
