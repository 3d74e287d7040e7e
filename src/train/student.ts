// Students: `layers:3`, `layers:0,2,4` (layers of a BERT, with its embeddings and pooler), `bert:4x312[x12[x1200]]` (a fresh one).
// A folder or a config.json is left to the caller, who can read files.

import { InputError } from "../errors.ts";
import type { BertConfig } from "../formats/config.ts";
import { freshWeights, type Weights } from "./model.ts";

type Body = { config: BertConfig; weights: Weights };

export type StudentSpec =
  | { readonly kind: "layers"; readonly layers: readonly number[] | number }
  | {
      readonly kind: "bert";
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
  const fresh = /^bert:(\d+)x(\d+)(?:x(\d+))?(?:x(\d+))?$/.exec(text);
  if (fresh) {
    const [layers, width, heads, inner] = fresh.slice(1).map((n) => (n === undefined ? undefined : Number(n)));
    if (!layers || !width || heads === 0 || inner === 0)
      throw new InputError("STUDENT", `"${text}": every number must be at least 1.`, { where });
    return { kind: "bert", layers, width, heads, inner };
  }
  if (/^(layers|bert):/.test(text))
    throw new InputError("STUDENT", `"${text}" is not understood; expected layers:K, layers:0,2,4 or bert:LxD[xHxF].`, {
      where,
    });
  return { kind: "path", path: text };
}

/** A BERT of the chosen layers of another, numbered from 0, in the given order. */
export function pruneLayers({ config, weights }: Body, chosen: readonly number[]): Body {
  const wrong = chosen.find((layer) => layer >= config.num_hidden_layers);
  if (wrong !== undefined || chosen.length === 0)
    throw new InputError(
      "STUDENT_LAYERS",
      `layer ${wrong} does not exist: the source has layers 0 to ${config.num_hidden_layers - 1}.`,
      { where: "--student" },
    );
  const pruned: Weights = new Map();
  for (const [path, tensor] of weights) {
    const [, layer, rest] = /^bert\.encoder\.layer\.(\d+)(\..*)$/.exec(path) ?? [];
    if (layer === undefined) pruned.set(path, tensor);
    else
      chosen.forEach((from, to) => {
        if (from === Number(layer)) pruned.set(`bert.encoder.layer.${to}${rest}`, tensor);
      });
  }
  return { config: { ...config, num_hidden_layers: chosen.length }, weights: pruned };
}

export function layersOf(spec: StudentSpec & { kind: "layers" }): readonly number[] {
  return typeof spec.layers === "number" ? Array.from({ length: spec.layers }, (_, i) => i) : spec.layers;
}

/** A smaller BERT with the vocabulary, lengths and labels of `like`; heads default to those of `like`, the inner width to 4·D. */
export function freshBert(spec: StudentSpec & { kind: "bert" }, like: BertConfig, seed: number): Body {
  const { layers, width, heads = like.num_attention_heads, inner = 4 * width } = spec;
  if (width % heads !== 0) {
    const divisors = Array.from({ length: Math.min(width, 64) }, (_, i) => i + 1).filter((h) => width % h === 0);
    throw new InputError(
      "STUDENT_HEADS",
      `${heads} heads do not divide a width of ${width}; write bert:${layers}x${width}xH with H one of ${divisors.join(", ")}.`,
      { where: "--student" },
    );
  }
  const config: BertConfig = {
    ...like,
    num_hidden_layers: layers,
    hidden_size: width,
    num_attention_heads: heads,
    intermediate_size: inner,
  };
  return { config, weights: freshWeights(config, seed) };
}
