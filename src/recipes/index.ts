// Recipes by name.

import { InputError } from "../errors.ts";
import { assistant } from "./assistant.ts";
import { bilstm } from "./bilstm.ts";
import { distilbert } from "./distilbert.ts";
import { hard } from "./hard.ts";
import { kd } from "./kd.ts";
import { minilm, minilmV2 } from "./minilm.ts";
import { mlm } from "./mlm.ts";
import { mobilebert, mobilebertAuxiliary, mobilebertJoint } from "./mobilebert.ts";
import { pkdLast, pkdSkip } from "./pkd.ts";
import type { Recipe } from "./recipe.ts";
import { tinybert } from "./tinybert.ts";

export const recipes: Readonly<Record<string, Recipe>> = Object.fromEntries(
  [
    hard,
    kd,
    bilstm,
    pkdSkip,
    pkdLast,
    tinybert,
    minilm,
    minilmV2,
    distilbert,
    mlm,
    mobilebert,
    mobilebertJoint,
    mobilebertAuxiliary,
    assistant,
  ].map((recipe) => [recipe.name, recipe]),
);

export function recipeNamed(name: string): Recipe {
  if (!Object.hasOwn(recipes, name))
    throw new InputError(
      "UNKNOWN_RECIPE",
      `there is no recipe "${name}"; known: ${Object.keys(recipes).join(", ")}, or a file NAME.json.`,
    );
  return recipes[name];
}
