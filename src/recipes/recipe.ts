// A recipe says which terms a student is trained on, stage after stage. It is data, in code as in a file (file.ts), and reads like its paper:
// a term compares a feature of the student with the teacher's; every term becomes a metric. What terms mean is in terms.ts.

import type { FeatureName } from "../models/features.ts";
import type { LrScheduler, Varying } from "../optim/schedule.ts";
import type { LayerMap } from "./maps.ts";

/** The numbers of a recipe that its user may set, at one step. */
export interface Hyper {
  /** T of the soft labels. */
  temperature: number;
  /** Share of the soft term; the hard one gets 1 − α. */
  alpha: number;
  /** Weight of what is compared besides. */
  beta: number;
}

/** Weights that are numbers of `Hyper`. */
export const WEIGHTS = ["alpha", "1 - alpha", "beta"] as const;
export type Weight = number | (typeof WEIGHTS)[number];

/**
 * labels: cross-entropy with the labels, squared error in regression; of masked, with what the masked tokens were
 * kl: of vocabulary or masked, the probabilities of every token, at all tokens or at the masked ones
 * kl, crossEntropy: of logits, both softened by T; of scores, between attention maps; of queries, keys or values, between their relations
 * mse, cosine: distance of vectors, or (mse) of attention scores
 */
export type Loss = "labels" | "kl" | "crossEntropy" | "mse" | "cosine";

export interface Term {
  readonly loss: Loss;
  /** The feature that is compared; for labels only masked. */
  readonly of?: FeatureName;
  /** 1 unless given. Terms at a temperature count T² times, so that their gradient keeps its size as T grows. */
  readonly weight?: Weight;
  /** Of kl and crossEntropy of logits, and of kl over the vocabulary; 1 unless given. */
  readonly temperature?: number | "temperature";
  /** Of features that each layer has: which layers, and which of the teacher each learns from. */
  readonly map?: LayerMap;
  /** Teacher layers, counted from 1, in place of those that the map would choose. */
  readonly teacherLayers?: readonly number[];
  /** Over the layers; "sum" unless given. */
  readonly reduction?: "sum" | "mean";
  /** Of token rows: over each sequence first, unless "tokens" are all alike. */
  readonly mean?: "sequences" | "tokens";
  /** mse: compare on the unit sphere. */
  readonly normalize?: boolean;
  /** Relations: heads that both sides are cut into; the models' own unless given. */
  readonly heads?: number;
  /** mse, cosine: a matrix of this name maps the student's width to the teacher's. Terms of one name share it; none where widths agree. */
  readonly project?: string;
}

/** Training numbers, under the names of train/options.ts. */
export interface StageOptions {
  epochs: number;
  /** Stops after this many updates; 0: epochs decide. */
  maxSteps: number;
  /** Sequences in one micro-batch. */
  batchSize: number;
  gradientAccumulationSteps: number;
  learningRate: number;
  lrSchedulerType: LrScheduler;
  /** Share of the updates in which the learning rate rises. */
  warmupRatio: number;
  /** By its name in src/optim. */
  optimizer: string;
  weightDecay: number;
  maxGradNorm: number;
  /** The optimiser's own unless given; AdaDelta's ρ is adamBeta2. */
  adamBeta1?: number;
  adamBeta2?: number;
  adamEpsilon?: number;
  /** s, where tokens are masked: a token of n occurrences is chosen in proportion to n^−s; 0 unless given. */
  mlmSmoothing?: number;
}

export interface Stage {
  /** "text": plain text instead of the task's rows. */
  readonly data?: "text";
  /** Left out when there is no text. */
  readonly optional?: boolean;
  /** Only heads are trained, the model under them is left as it is. */
  readonly frozen?: boolean;
  /**
   * The one layer of the student, counted from 1, that is trained, the first together with what lies below it, and that terms by layer
   * compare. "each": the stage is taken for every layer, one after the other, and its epochs are shared out among them.
   */
  readonly layer?: number | "each";
  readonly terms: Readonly<Record<string, Term>>;
  /** What the paper says; options stand over it. */
  readonly training?: Readonly<Partial<StageOptions>>;
}

/** Copies of the task's texts. */
export type Augmentation = WordAugmentation | Substitution;

/** With masked words, words replaced by others of their part of speech, or only an n-gram left: words.ts. */
export interface WordAugmentation {
  /** Probabilities: of a mask and of a replacement for each word, of an n-gram for each copy. */
  readonly pMask: number;
  readonly pPos: number;
  readonly pNg: number;
  /** Copies of each text, and of each pair of texts. */
  readonly nIter: number;
  readonly pairNIter: number;
}

/** With words replaced by what a masked-LM would say there, or by those with the nearest vectors: substitutes.ts. */
export interface Substitution {
  /** Probability that a word is replaced. */
  readonly pReplace: number;
  /** So many words may take the place of one. */
  readonly candidates: number;
  /** Copies of each text, and of each text of a pair. */
  readonly nIter: number;
  readonly pairNIter: number;
}

export interface Recipe {
  readonly name: string;
  /** One line for lists and model cards. */
  readonly summary: string;
  /** Paper and identifier. */
  readonly source?: string;
  /** The numbers that terms name. */
  readonly hyper?: { readonly [K in keyof Hyper]?: Varying };
  /** Students that are trained on the way, each the teacher of the next (train/chain.ts). */
  readonly assistants?: readonly string[];
  /** More rows for the stages that read the task's; they have no labels. */
  readonly augmentation?: Augmentation;
  /** One after the other; the last learns the task. */
  readonly stages: Readonly<Record<string, Stage>>;
}

/** Where terms name no number of these, it is not used. */
export const IDLE: Hyper = { temperature: 1, alpha: 0, beta: 0 };

export const substitutes = (augmentation: Augmentation): augmentation is Substitution => "pReplace" in augmentation;

/** False: labels are all that it learns from. */
export function needsTeacher({ terms }: Stage): boolean {
  return Object.values(terms).some(({ loss }) => loss !== "labels");
}

/** Its text is masked: 15 % of the tokens. */
export function masksTokens({ terms }: Stage): boolean {
  return Object.values(terms).some(({ of }) => of === "masked");
}
