// What a family of models must give to be loaded, traced, trained, cut down, made afresh and saved.

import type { CommonConfig } from "../formats/config.ts";
import type { FolderFormat } from "../formats/huggingface.ts";
import type { Scope } from "../program/scope.ts";
import type { Random } from "../random.ts";
import type { BatchValues, Features } from "./features.ts";

/** The numbers that make a model of a family small or large. */
export interface Size {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  /** Width between the two products of a feed-forward block. */
  readonly inner: number;
  /** Width inside of a layer where it is not that between layers. */
  readonly inside?: number;
  /** Feed-forward blocks of a layer where there may be several. */
  readonly forwards?: number;
}

/** What a dimension of a parameter runs over. */
export type Axis = "width" | "heads" | "inner";

/** What a fresh student is made for. */
export interface Purpose {
  /** Width of the word vectors that its embeddings begin with. */
  readonly vectors: number;
  /** The data are pairs of texts. */
  readonly pair: boolean;
}

/** Its parameters are those of transformers' class `architecture`, path for path. */
export interface Family<C extends CommonConfig> extends FolderFormat<C> {
  /** Prefixes of the parameters that belong to the task: the classifier, then what may be made afresh together with it. */
  readonly head: readonly string[];
  /** Parameters of layer i have paths that begin with this, i and a point. */
  readonly layers: string;
  /** The table of word embeddings, a row a token. */
  readonly words: string;
  /** Tables that begin as word vectors: of the teacher, or of a file. */
  readonly vectors?: readonly string[];
  /** What a fresh model, or a fresh head, begins with of one with the same names and shapes: prefixes of parameters. */
  readonly taken?: readonly string[];
  /** Traces the model on a batch, as far as it has the features. Dropout is active when the scope trains. */
  trace(scope: Scope, config: C, batch: BatchValues): Partial<Features>;
  size(config: C): Size;
  /** Of a fresh one where no other model says how many. */
  readonly heads?: number;
  /** What the dimensions of a parameter run over that could be cut; undefined: others, such as tokens and labels. */
  readonly axes?: (path: string) => readonly (Axis | undefined)[];
  /** How a size is written behind the family's name in --student, and what such a text says; undefined where it says none. */
  readonly usage: string;
  readonly parse: (text: string) => Partial<Size> | undefined;
  /** A model of that size, otherwise like another one (of any family): vocabulary, lengths, labels. */
  sized(size: Size, like: CommonConfig): C;
  /** What a model of another family would be in this one, layer for layer, and what its parameters would be called; undefined: nothing. */
  adopts?(like: CommonConfig): { config: C; named(path: string): string | undefined } | undefined;
  /** Whether such a model reads pairs of texts and nothing else. */
  pairsOnly?(config: C): boolean;
  /** Where the shape of a fresh model depends on its purpose. */
  suited?(config: C, purpose: Purpose): C;
  /** First numbers of a parameter where they are not the usual ones of train/model.ts. */
  fresh?(path: string, shape: readonly number[], config: C, random: Random): Float32Array | undefined;
}

/** The numbers of ":4x312x12"; undefined where the text is none such, or has fewer or more. */
export function crossed(text: string, least: number, most: number): number[] | undefined {
  const numbers = /^:\d+(x\d+)*$/.test(text) ? text.slice(1).split("x").map(Number) : [];
  return numbers.length >= least && numbers.length <= most ? numbers : undefined;
}

/** Sizes of a stack of layers. */
export const stack: Pick<Family<CommonConfig>, "usage" | "parse"> = {
  usage: ":LxD[xHxF]",
  parse: (text) => {
    const numbers = crossed(text, 2, 4);
    if (!numbers) return undefined;
    const [layers, width, heads, inner] = numbers;
    return { layers, width, heads, inner };
  },
};

/** `like` itself where it is of the same family, else what all families have of it, and this family's own defaults. */
export function inherited<C extends CommonConfig>(like: CommonConfig, type: C["model_type"], own: Partial<C>): C {
  if (like.model_type === type) return like as C;
  const { vocab_size, max_position_embeddings, initializer_range, pad_token_id } = like;
  const { num_labels, id2label, label2id, problem_type } = like;
  return {
    ...{ ...own, model_type: type, vocab_size, max_position_embeddings, initializer_range, pad_token_id },
    ...{ num_labels, id2label, label2id, problem_type },
  } as C;
}
