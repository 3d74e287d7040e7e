// What a user may change of a recipe without writing one. A choice that finds nothing to change is refused rather than ignored.

import { InputError } from "../errors.ts";
import type { Varying } from "../optim/schedule.ts";
import { type Hyper, type Recipe, substitutes, type Term } from "./recipe.ts";

export interface RecipeChoices extends Partial<{ readonly [K in keyof Hyper]: Varying }> {
  /** Teacher layers, counted from 1, of the student layers that the recipe's maps name. */
  readonly layerMap?: readonly number[];
  /** False: states are compared as they are, not on the unit sphere. */
  readonly normalizePatience?: boolean;
  /** Heads that relations are cut into, on both sides. */
  readonly relationHeads?: number;
  /** Of the augmentation: probabilities, and copies of each text. */
  readonly pMask?: number;
  readonly pPos?: number;
  readonly pNg?: number;
  readonly nIter?: number;
  /** Of the augmentation by a masked-LM. */
  readonly pReplace?: number;
  readonly candidates?: number;
  /** False: no word is replaced by one of its part of speech, as p_pos = 0. */
  readonly pos?: boolean;
  /** Probabilities of tokens are compared at the masked ones only. */
  readonly restrictCeToMask?: boolean;
}

export function withChoices(recipe: Recipe, choices: RecipeChoices): Recipe {
  const refuse = (what: string, where: string): never => {
    throw new InputError("RECIPE_OPTION", `recipe "${recipe.name}" has no ${what}.`, { where });
  };
  const given = (["temperature", "alpha", "beta"] as const).filter((name) => choices[name] !== undefined);
  for (const name of given) if (recipe.hyper?.[name] === undefined) refuse(name, `--${name}`);

  let chosen = augmentationOf(recipe, choices, refuse);
  const change = (what: string, where: string, change: (term: Term) => Term | undefined) => {
    let changed = false;
    const terms = (all: Readonly<Record<string, Term>>) =>
      Object.fromEntries(
        Object.entries(all).map(([name, term]) => {
          const other = change(term);
          changed ||= other !== undefined;
          return [name, other ?? term];
        }),
      );
    const stages = Object.entries(chosen.stages).map(([name, stage]) => [
      name,
      { ...stage, terms: terms(stage.terms) },
    ]);
    if (!changed) refuse(what, where);
    chosen = { ...chosen, stages: Object.fromEntries(stages) };
  };
  const { layerMap: teacherLayers, normalizePatience, relationHeads: heads, restrictCeToMask } = choices;
  if (teacherLayers !== undefined)
    change("layer map", "--layer-map", (term) => (term.map === undefined ? undefined : { ...term, teacherLayers }));
  if (normalizePatience === false)
    change("normalised states", "--no-normalize", ({ normalize, ...term }) => (normalize ? term : undefined));
  if (heads !== undefined)
    change("relations", "--relation-heads", (term) => (isRelation(term) ? { ...term, heads } : undefined));
  if (restrictCeToMask)
    change("probabilities of all tokens", "--restrict-ce-to-mask", (term) =>
      term.of === "vocabulary" ? { ...term, of: "masked" } : undefined,
    );
  if (given.length === 0) return chosen;
  return { ...chosen, hyper: { ...chosen.hyper, ...Object.fromEntries(given.map((name) => [name, choices[name]])) } };
}

type Refuse = (what: string, where: string) => never;

function augmentationOf(recipe: Recipe, choices: RecipeChoices, refuse: Refuse): Recipe {
  const { pMask, pPos, pNg, nIter, pos, pReplace, candidates } = choices;
  const numbers = { pMask, pPos: pos === false ? 0 : pPos, pNg, pReplace, candidates, nIter, pairNIter: nIter };
  const given = Object.entries(numbers).filter(([, value]) => value !== undefined);
  if (given.length === 0) return recipe;
  if (!recipe.augmentation)
    return refuse("augmentation", "--n-iter, --p-mask, --p-pos, --p-ng, --no-pos, --p-replace, --candidates");
  const foreign = given.find(([name]) => !(name in (recipe.augmentation ?? {})));
  if (foreign) {
    if (substitutes(recipe.augmentation))
      refuse("masked words, parts of speech or n-grams", "--p-mask, --p-pos, --p-ng, --no-pos");
    else refuse("words of a masked-LM", "--p-replace, --candidates");
  }
  const augmentation = { ...recipe.augmentation, ...Object.fromEntries(given) };
  if (!substitutes(augmentation) && augmentation.pMask + augmentation.pPos > 1)
    throw new InputError("OPTION_RANGE", "a word is masked or replaced: both probabilities are at most 1 together.", {
      where: "--p-mask, --p-pos",
    });
  return { ...recipe, augmentation };
}

/** Queries, keys or values that are compared by their products with themselves. */
export function isRelation({ loss, of }: Term): boolean {
  return (loss === "kl" || loss === "crossEntropy") && (of === "queries" || of === "keys" || of === "values");
}
