// A model in memory: config, weights by checkpoint path, tokenizer. Loaded from a Hugging Face folder, or made as a student.

import { loadTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import { InputError } from "../errors.ts";
import { type CommonConfig, does, labelMaps, type Task } from "../formats/config.ts";
import type { Files } from "../formats/files.ts";
import { matchTensors, readModelFolder } from "../formats/huggingface.ts";
import { noMaskedLm } from "../models/features.ts";
import { families, familyOf, type ModelConfig } from "../models/index.ts";
import { Random } from "../random.ts";
import { sha256 } from "../sha256.ts";
import { parametersOf } from "./programs.ts";

export interface Tensor {
  shape: number[];
  data: Float32Array;
}

export type Weights = Map<string, Tensor>;

export interface Model {
  /** What messages call it: the folder, or how it was made. */
  readonly name: string;
  readonly config: ModelConfig;
  readonly weights: Weights;
  readonly tokenizer: Tokenizer;
  /** Conversions and fresh parts that the user should hear of. */
  readonly notes: readonly string[];
}

/** Labels of a task: names in the order of their ids; null for regression. */
export type Labels = readonly string[] | null;

export function labelsOf(config: CommonConfig): Labels {
  if (config.problem_type === "regression" || config.num_labels === 1) return null;
  return Array.from({ length: config.num_labels }, (_, id) => config.id2label[id]);
}

export function withLabels<C extends CommonConfig>(config: C, labels: Labels): C {
  return {
    ...config,
    ...labelMaps(labels ?? ["LABEL_0"]),
    problem_type: labels ? "single_label_classification" : "regression",
  };
}

function sameLabels(a: Labels, b: Labels): boolean {
  return a === null || b === null ? a === b : a.length === b.length && a.every((label, i) => label === b[i]);
}

/** A model in memory keeps its classifier, so its labels must be those of the task. */
export function requireLabels(model: Model, labels: Labels, whose: string): Model {
  if (sameLabels(labels, labelsOf(model.config))) return model;
  throw new InputError(
    "MODEL_LABELS",
    `this model has labels [${labelsOf(model.config) ?? "one score"}], ${whose} [${labels ?? "one score"}]; one of them must change.`,
    { where: model.name },
  );
}

/** Some models read pairs of texts and nothing else. */
export function requirePairs({ config, name }: Pick<Model, "config" | "name">, pair: boolean): void {
  if (pair || !familyOf(config).pairsOnly?.(config)) return;
  throw new InputError("NO_PAIR", "this model reads pairs of texts; give it a second text (--pair-column).", {
    where: name,
  });
}

export function parameterCount(config: ModelConfig): number {
  return [...parametersOf(config).values()].reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

/** One fresh parameter as Hugging Face makes it: N(0, initializer_range); norms are the identity, biases zero. */
function fresh(path: string, shape: readonly number[], config: ModelConfig, seed: number): Tensor {
  const random = new Random(seed, `init/${path}`);
  const own = familyOf(config).fresh?.(path, shape, config, random);
  if (own) return { shape: [...shape], data: own };
  const size = shape.reduce((a, b) => a * b, 1);
  // The only vectors beside biases are weights of norms.
  const vector = () => new Float32Array(size).fill(path.endsWith(".bias") ? 0 : 1);
  const data = shape.length === 1 ? vector() : normals(random, size, config.initializer_range);
  return { shape: [...shape], data };
}

/** Numbers of N(0, deviation²). */
export function normals(random: Random, size: number, deviation: number): Float32Array {
  return new Float32Array(size).map(() => random.normal() * deviation);
}

export function freshWeights(config: ModelConfig, seed: number, only: (path: string) => boolean = () => true): Weights {
  return new Map(
    [...parametersOf(config)]
      .filter(([path]) => only(path))
      .map(([path, shape]) => [path, fresh(path, shape, config, seed)]),
  );
}

/** SHA-256, tensor by tensor: the whole model may be too large for another copy of it. */
export async function hashOfWeights(weights: Weights): Promise<string> {
  const tensors: (string | number[])[][] = [];
  for (const path of [...weights.keys()].sort()) {
    const { shape, data } = weights.get(path) as Tensor;
    tensors.push([path, shape, await sha256(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))]);
  }
  return sha256(JSON.stringify(tensors));
}

/** What a fresh model takes of its kin, as far as it fits. */
export function takenOf(config: ModelConfig, like: Pick<Model, "config" | "weights">): Weights {
  const [{ prefix, taken = [] }, kin] = [familyOf(config), familyOf(like.config)];
  if (kin.prefix !== prefix) return new Map();
  const fit = [...parametersOf(config)].filter(
    ([path, shape]) => taken.some((part) => path.startsWith(part)) && `${like.weights.get(path)?.shape}` === `${shape}`,
  );
  return new Map(
    fit.map(([path, shape]) => [path, { shape: [...shape], data: (like.weights.get(path) as Tensor).data.slice() }]),
  );
}

/** The model with the heads of these tasks and no others; what it has not, nor takes of a kin, is fresh and announced. */
export function forTasks(model: Model, tasks: readonly Task[], seed: number, kin?: Model): Model {
  const config = { ...model.config, tasks };
  const paths = [...parametersOf(config).keys()];
  const had: Weights = new Map([...(kin ? takenOf(config, kin) : []), ...model.weights]);
  const missing = paths.filter((path) => !had.has(path));
  const made = freshWeights(config, seed, (path) => missing.includes(path));
  const weights: Weights = new Map(paths.map((path) => [path, (had.get(path) ?? made.get(path)) as Tensor]));
  const notes = missing.length > 0 ? [`fresh ${missing.join(", ")}: not in ${model.name}`] : [];
  return { ...model, config, weights, notes: [...model.notes, ...notes] };
}

export interface LoadOptions {
  /** The task's labels: with others in the file (or none) a fresh classifier is made and announced. */
  labels?: Labels;
  /** Which heads are loaded; the classifier unless given. */
  tasks?: readonly Task[];
  /** Where there is no masked-LM head, a fresh one is made and announced. */
  freshMaskedLm?: boolean;
  seed?: number;
  allowNonfinite?: boolean;
}

/** Loads a Hugging Face folder. Without `labels` the classifier must be in the file. */
export async function loadModel(files: Files, options: LoadOptions = {}): Promise<Model> {
  const { tasks, allowNonfinite } = options;
  const [classifies, predicts] = [does("classification", { tasks }), does("maskedLm", { tasks })];
  const folder = await readModelFolder(files, families, { allowNonfinite, maskedLm: predicts });
  const tokenizer = loadTokenizer(folder.tokenizerFiles);
  const { head, maskedLm } = familyOf(folder.config);
  const [classifier, ...beside] = head;
  const ofMaskedLm = (name: string) => maskedLm?.parts.some((part) => name.startsWith(part)) ?? false;
  if (predicts && (!maskedLm || (!options.freshMaskedLm && ![...folder.tensors.keys()].some(ofMaskedLm))))
    throw noMaskedLm(files.folder);
  const headFits =
    folder.tensors.has(`${classifier}weight`) &&
    (options.labels === undefined || sameLabels(options.labels, labelsOf(folder.config)));
  const labelled = options.labels === undefined ? folder.config : withLabels(folder.config, options.labels);
  const config = tasks ? { ...labelled, tasks } : labelled;
  if (classifies && !headFits && options.labels === undefined)
    throw new InputError(
      "NO_CLASSIFIER",
      `this model has no classifier yet: expected ${classifier}weight and ${classifier}bias; fine-tune it first (limbeck finetune).`,
      { where: files.folder },
    );
  checkVocabulary(config, tokenizer, files.folder);
  const expected = [...parametersOf(config)].map(([name, shape]) => ({ name, shape: [...shape] }));
  const canBeFresh = (name: string) =>
    name.startsWith(classifier) ||
    (!headFits && beside.some((prefix) => name.startsWith(prefix))) ||
    (options.freshMaskedLm === true && ofMaskedLm(name));
  const { weights, fresh: missing } = matchTensors(expected, folder.tensors, {
    fresh: canBeFresh,
    ignore: (name) =>
      classifies ? !headFits && name.startsWith(classifier) : head.some((prefix) => name.startsWith(prefix)),
    where: files.folder,
  });
  const made = freshWeights(config, options.seed ?? 0, (path) => missing.includes(path));
  const notes = [...folder.notes];
  if (missing.length > 0) notes.push(`fresh ${missing.join(", ")}: not in ${files.folder}, or for other labels`);
  return { name: files.folder, config, weights: new Map([...weights, ...made]), tokenizer, notes };
}

function checkVocabulary(config: CommonConfig, tokenizer: Tokenizer, where: string): void {
  if (tokenizer.vocabularySize > config.vocab_size)
    throw new InputError(
      "VOCABULARY_SIZE",
      `the tokenizer has ${tokenizer.vocabularySize} tokens, the embedding only vocab_size = ${config.vocab_size} rows; these files do not belong together.`,
      { where },
    );
}
