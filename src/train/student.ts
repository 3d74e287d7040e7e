// Students: `layers:3`, `layers:0,2,4` (layers of another model, with its embeddings and head), `bert:4x312[x12[x1200]]` (a fresh one; so for
// every family). A folder or a config.json is left to the caller, who can read files.

import { InputError } from "../errors.ts";
import { families, familyOf, type ModelConfig } from "../models/index.ts";
import { freshWeights, type Weights } from "./model.ts";

type Body = { config: ModelConfig; weights: Weights };

export type StudentSpec =
  | { readonly kind: "layers"; readonly layers: readonly number[] | number }
  | {
      readonly kind: "fresh";
      /** Its model_type. */
      readonly type: string;
      readonly layers: number;
      readonly width: number;
      readonly heads?: number;
      readonly inner?: number;
    }
  | { readonly kind: "path"; readonly path: string };

export function parseStudent(text: string): StudentSpec {
  const where = "--student";
  const chosen = /^layers:(\d+(?:,\d+)*)$/.exec(text);
  if (chosen) {
    const numbers = chosen[1].split(",").map(Number);
    return { kind: "layers", layers: numbers.length === 1 ? numbers[0] : numbers };
  }
  const [, type, sizes] = /^([a-z]+):(.*)$/s.exec(text) ?? [];
  // Not of this kind: a drive's letter, or a folder with a colon in its name.
  if (type !== "layers" && !families.has(type)) return { kind: "path", path: text };
  const fresh = /^(\d+)x(\d+)(?:x(\d+))?(?:x(\d+))?$/.exec(sizes);
  if (!fresh || type === "layers") {
    const usages = [...families.keys()].map((known) => `${known}:LxD[xHxF]`);
    throw new InputError(
      "STUDENT",
      `"${text}" is not understood; expected layers:K, layers:0,2,4 or ${usages.join(" or ")}.`,
      { where },
    );
  }
  const [layers, width, heads, inner] = fresh.slice(1).map((n) => (n === undefined ? undefined : Number(n)));
  if (!layers || !width || heads === 0 || inner === 0)
    throw new InputError("STUDENT", `"${text}": every number must be at least 1.`, { where });
  return { kind: "fresh", type, layers, width, heads, inner };
}

/** A model of the chosen layers of another, numbered from 0, in the given order. */
export function pruneLayers({ config, weights }: Body, chosen: readonly number[]): Body {
  const family = familyOf(config);
  const size = family.size(config);
  const wrong = chosen.find((layer) => layer >= size.layers);
  if (wrong !== undefined || chosen.length === 0)
    throw new InputError(
      "STUDENT_LAYERS",
      `layer ${wrong} does not exist: the source has layers 0 to ${size.layers - 1}.`,
      { where: "--student" },
    );
  const pruned: Weights = new Map();
  for (const [path, tensor] of weights) {
    const [, layer, rest] = path.startsWith(family.layers)
      ? (/^(\d+)(\..*)$/.exec(path.slice(family.layers.length)) ?? [])
      : [];
    if (layer === undefined) pruned.set(path, tensor);
    else
      chosen.forEach((from, to) => {
        if (from === Number(layer)) pruned.set(`${family.layers}${to}${rest}`, tensor);
      });
  }
  return { config: family.sized({ ...size, layers: chosen.length }, config), weights: pruned };
}

export function layersOf(spec: StudentSpec & { kind: "layers" }): readonly number[] {
  return typeof spec.layers === "number" ? Array.from({ length: spec.layers }, (_, i) => i) : spec.layers;
}

/** A smaller model with the vocabulary, lengths and labels of `like`; heads default to those of `like`, the inner width to 4·D. */
export function freshStudent(spec: StudentSpec & { kind: "fresh" }, like: ModelConfig, seed: number): Body {
  const { type, layers, width, heads = familyOf(like).size(like).heads, inner = 4 * width } = spec;
  if (width % heads !== 0) {
    const divisors = Array.from({ length: Math.min(width, 64) }, (_, i) => i + 1).filter((h) => width % h === 0);
    throw new InputError(
      "STUDENT_HEADS",
      `${heads} heads do not divide a width of ${width}; write ${type}:${layers}x${width}xH with H one of ${divisors.join(", ")}.`,
      { where: "--student" },
    );
  }
  const config = familyOf({ model_type: type }).sized({ layers, width, heads, inner }, like);
  return { config, weights: freshWeights(config, seed) };
}
