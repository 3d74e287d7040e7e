// What a family of models must give to be loaded, traced, trained, cut down, made afresh and saved.

import type { CommonConfig } from "../formats/config.ts";
import type { FolderFormat } from "../formats/huggingface.ts";
import type { Scope } from "../program/scope.ts";
import type { BatchValues, Features } from "./features.ts";

/** The numbers that make a model of a family small or large. */
export interface Size {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  /** Width between the two products of a feed-forward block. */
  readonly inner: number;
}

/** Its parameters are those of transformers' class `architecture`, path for path. */
export interface Family<C extends CommonConfig> extends FolderFormat<C> {
  /** Prefixes of the parameters that belong to the task: the classifier, then what may be made afresh together with it. */
  readonly head: readonly string[];
  /** Parameters of layer i have paths that begin with this, i and a point. */
  readonly layers: string;
  /** Traces the model on a batch, as far as it has the features. Dropout is active when the scope trains. */
  trace(scope: Scope, config: C, batch: BatchValues): Partial<Features> & Pick<Features, "logits">;
  size(config: C): Size;
  /** A model of that size, otherwise like another one (of any family): vocabulary, lengths, labels. */
  sized(size: Size, like: CommonConfig): C;
  /** First numbers of a parameter where they are not the usual ones of train/model.ts. */
  fresh?(path: string, shape: readonly number[], config: C): Float32Array | undefined;
}

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
