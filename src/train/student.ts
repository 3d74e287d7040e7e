// Students: `layers:3`, `layers:0,2,4` (layers of another model, with its embeddings and head), `distilbert:layers:3` (the same as a model of
// that family, layers spread as DistilBERT's), `slice:3x192` (its first layers, narrowed), `bert:4x312[x12[x1200]]`, `mobilebert:6x256x64` or
// `bilstm:150` (a fresh one; each family says how its sizes are written). A folder or a config.json is left to the caller, who can read files.

import { InputError } from "../errors.ts";
import { type Size, stack } from "../models/family.ts";
import { families, familyOf, type ModelConfig } from "../models/index.ts";
import { spreadLayers } from "../recipes/maps.ts";
import { freshWeights, type Tensor, takenOf, type Weights } from "./model.ts";
import { sliceWidth } from "./width.ts";

type Body = { config: ModelConfig; weights: Weights };

export type StudentSpec =
  /** type: the model_type that it will be, where that is said. */
  | { readonly kind: "layers"; readonly layers: readonly number[] | number; readonly type?: string }
  /** The first layers, and the most important heads and units of each. */
  | { readonly kind: "slice"; readonly size: Partial<Size> }
  /** type: its model_type. */
  | { readonly kind: "fresh"; readonly type: string; readonly size: Partial<Size> }
  | { readonly kind: "path"; readonly path: string };

export function parseStudent(text: string, where = "--student"): StudentSpec {
  const chosen = /^(?:([a-z]+):)?layers:(\d+(?:,\d+)*)$/.exec(text);
  if (chosen && (chosen[1] === undefined || families.get(chosen[1])?.adopts)) {
    const numbers = chosen[2].split(",").map(Number);
    const layers = numbers.length === 1 ? numbers[0] : numbers;
    return { kind: "layers", layers, ...(chosen[1] === undefined ? {} : { type: chosen[1] }) };
  }
  const slice = text.startsWith("slice:") ? stack.parse(text.slice("slice".length)) : undefined;
  if (slice) return { kind: "slice", size: atLeastOne(slice, text, where) };
  const [, type, rest = ""] = /^([a-z]+)(:.*)?$/s.exec(text) ?? [];
  const size = families.get(type)?.parse(rest);
  // Not of this kind: a folder, a drive's letter, or a name with a colon.
  if (!size && (rest === "" || (!["layers", "slice"].includes(type) && !families.has(type))))
    return { kind: "path", path: text };
  if (!size) {
    const usages = [...families.values()].map(({ type: known, usage }) => `${known}${usage}`);
    throw new InputError(
      "STUDENT",
      `"${text}" is not understood; expected layers:K, layers:0,2,4, distilbert:layers:K, slice${stack.usage}, ${usages.slice(0, -1).join(", ")} or ${usages.at(-1)}.`,
      { where },
    );
  }
  return { kind: "fresh", type, size: atLeastOne(size, text, where) };
}

function atLeastOne(size: Partial<Size>, text: string, where: string): Partial<Size> {
  if (!Object.values(size).includes(0)) return size;
  throw new InputError("STUDENT", `"${text}": every number must be at least 1.`, { where });
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

const firstLayers = (count: number) => Array.from({ length: count }, (_, i) => i);

/** A student that is cut out of another model. */
export function cutStudent(spec: StudentSpec & { kind: "layers" | "slice" }, source: Body): Body {
  if (spec.kind === "slice") return sliceWidth(pruneLayers(source, firstLayers(spec.size.layers ?? 1)), spec.size);
  const { layers, type } = spec;
  const N = familyOf(source.config).size(source.config).layers;
  const some = (count: number) => (type === undefined || count > N ? firstLayers(count) : spreadLayers(N, count));
  const pruned = pruneLayers(source, typeof layers === "number" ? some(layers) : layers);
  if (type === undefined || type === source.config.model_type) return pruned;
  const adopted = familyOf({ model_type: type }).adopts?.(pruned.config);
  if (!adopted)
    throw new InputError("STUDENT", `a ${type} cannot be made of layers of a ${source.config.model_type}.`, {
      where: "--student",
    });
  const named = [...pruned.weights].map(([path, tensor]) => [adopted.named(path), tensor] as const);
  return {
    config: adopted.config,
    weights: new Map(named.filter((entry): entry is [string, Tensor] => entry[0] !== undefined)),
  };
}

/** What a fresh student begins with beside its size. */
export interface Beginning {
  readonly like: Body;
  /** The data are pairs of texts. */
  readonly pair: boolean;
  readonly seed: number;
  /** A row a token, in place of the word embeddings of `like`. */
  readonly vectors?: Tensor;
}

/**
 * A model with the vocabulary, lengths and labels of `like`; heads default to those of `like`, the inner width to four times
 * that inside of a layer. Where its family begins with word vectors, they are those of `like` unless others are given; where it takes
 * parameters of its kin, those of `like` that fit.
 */
export function freshStudent(
  { type, size }: StudentSpec & { kind: "fresh" },
  beginning: Beginning,
  where = "--student",
): Body {
  const { like, pair, seed } = beginning;
  const family = familyOf({ model_type: type });
  const kin = familyOf(like.config);
  const { layers = 1, width = 1, heads = kin.size(like.config).heads, inside, forwards } = size;
  const split = inside ?? width;
  const { inner = 4 * split } = size;
  if (split % heads !== 0) {
    const divisors = Array.from({ length: Math.min(split, 64) }, (_, i) => i + 1).filter((h) => split % h === 0);
    const written = [layers, width, ...(inside === undefined ? [] : [inside])].join("x");
    throw new InputError(
      "STUDENT_HEADS",
      `${heads} heads do not divide a width of ${split}; write ${type}:${written}xH with H one of ${divisors.join(", ")}.`,
      { where },
    );
  }
  if (beginning.vectors && !family.vectors)
    throw new InputError("EMBEDDINGS", `a student of type ${type} does not begin with word vectors; bilstm does.`, {
      where: "--embeddings",
    });
  const vectors = beginning.vectors ?? (like.weights.get(kin.words) as Tensor);
  const sized = family.sized({ layers, width, heads, inner, inside, forwards }, like.config);
  const config = family.suited?.(sized, { vectors: vectors.shape[1], pair }) ?? sized;
  const weights = freshWeights(config, seed, (path) => !family.vectors?.includes(path));
  for (const path of family.vectors ?? []) weights.set(path, { ...vectors, data: vectors.data.slice() });
  for (const [path, tensor] of takenOf(config, like)) weights.set(path, tensor);
  return { config, weights };
}
