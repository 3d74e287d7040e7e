// The Programs of a training run. They share state and inputs by name:
//   teacher   batch → the features that the recipe reads, each an input of `gradient`
//   gradient  batch, teacher features → adds into the gradients; writes every term of the loss
//   update    gradients → weights; zeroes the gradients
//   forward   batch → logits, without dropout
//   loss      batch, teacher features → the loss, without dropout

import { does } from "../formats/config.ts";
import {
  type BatchShape,
  type BatchValues,
  batchValues,
  type FeatureName,
  type Features,
  shown,
} from "../models/features.ts";
import { familyOf, type ModelConfig, traceModel } from "../models/index.ts";
import { decode } from "../models/vocabulary.ts";
import { add, copy, gradient, keep, LOSS_SCALE, linear, lossScale, mul } from "../ops/index.ts";
import { companions, type Optimizer, traceUpdate } from "../optim/optimizer.ts";
import { type Program, Trace } from "../program/program.ts";
import { Scope } from "../program/scope.ts";
import { Value } from "../program/value.ts";
import { mlm } from "../recipes/mlm.ts";
import { masksTokens, type Stage } from "../recipes/recipe.ts";
import { traceTerms } from "../recipes/terms.ts";
import { vocabularyTerms } from "../recipes/vocabulary.ts";

/** A model in an executor: whose parameters (the prefix of their state names) and what it looks like. */
export interface Placed {
  readonly owner: string;
  readonly config: ModelConfig;
  /** Mixed precision: its linear layers multiply numbers of half precision and add in f32. */
  readonly half?: boolean;
}

function scopeOf(trace: Trace, { owner, half }: Placed, training: boolean): Scope {
  return new Scope(trace, owner, training, "", new Map(), new Set(), half ? new Map() : undefined);
}

/** Everything about a training step that is structure; what varies from step to step is an input. */
export interface StepStructure {
  readonly student: Placed;
  readonly teachers: readonly Placed[];
  /** Logits that come with the batch, so many a row, are a teacher as well. */
  readonly softLabels?: number;
  readonly stage: Stage;
  readonly regression: boolean;
  readonly optimizer: Optimizer;
}

export const TEMPERATURE = { name: "recipe/temperature", shape: [1], dtype: "f32" } as const;
export const DROPOUT = { name: "dropout", shape: [2], dtype: "u32" } as const;
export const LOSS = { name: "metrics/loss", shape: [1], dtype: "f32" } as const;
/**
 * State beside the gradients: 0 · loss, summed over the micro-batches of an update, so NaN where a loss is not finite though its gradients may be.
 * Their norm has it too. The 0 is state that nobody writes, for a shader's compiler would know what becomes of a constant.
 */
export const LOSS_GUARD = { name: "gradient/lossGuard", shape: [1], dtype: "f32" } as const;
const ZERO = { name: "zero", shape: [1], dtype: "f32" } as const;
export const weightOf = (term: string) => ({ name: `recipe/weight/${term}`, shape: [1], dtype: "f32" }) as const;
export const metricOf = (term: string) => ({ name: `metrics/term/${term}`, shape: [1], dtype: "f32" }) as const;
export const logitsOf = (owner: string, rows: number, classes: number) =>
  ({ name: `${owner}/out/logits`, shape: [rows, classes], dtype: "f32" }) as const;

export const maskedLogitsOf = (owner: string, masked: number, tokens: number) =>
  ({ name: `${owner}/out/maskedLogits`, shape: [masked, tokens], dtype: "f32" }) as const;
export const maskedLossOf = (owner: string) => ({ name: `${owner}/out/maskedLoss`, shape: [1], dtype: "f32" }) as const;

/** Name → shape of every parameter of a model, by checkpoint path. */
export function parametersOf(config: ModelConfig): Map<string, readonly number[]> {
  const trace = new Trace();
  const scope = new Scope(trace, "any", false);
  traceModel(scope, config, batchValues(trace, { sequences: 1, rows: 1, longest: 1 }));
  return new Map([...scope.parameters].map(([path, value]) => [path, value.shape]));
}

export function forwardProgram(placed: Placed, shape: BatchShape): Program {
  const { owner, config } = placed;
  const trace = new Trace();
  const features = traceModel(scopeOf(trace, placed, false), config, batchValues(trace, shape));
  const { logits } = shown(features, `a model of type ${config.model_type}`);
  keep(logits, logitsOf(owner, shape.sequences, config.num_labels).name);
  return trace.finish(`forward ${owner}`);
}

/** Features by their paths: "logits", "hidden.3". */
export function featureProgram(placed: Placed, paths: readonly string[], shape: BatchShape): Program {
  const { owner, config } = placed;
  const trace = new Trace();
  const features = traceModel(scopeOf(trace, placed, false), config, batchValues(trace, shape));
  for (const path of paths) {
    const [name, layer] = path.split(".") as [FeatureName, string | undefined];
    const feature = features[name] as Value | readonly Value[];
    keep(feature instanceof Value ? feature : feature[Number(layer)], featureOf(owner, path));
  }
  return trace.finish(`features of ${owner}`);
}

export const featureOf = (owner: string, path: string) => `${owner}/out/${path}`;

/** Σ weight·(−log softmax(z)[what it was]) over the masked tokens. */
export function maskedProgram(placed: Placed, shape: BatchShape): Program {
  const { owner, config } = placed;
  const trace = new Trace();
  const batch = batchValues(trace, shape);
  const features = traceModel(scopeOf(trace, placed, false), config, batch);
  const student = shown(features, `a model of type ${config.model_type}`);
  const temperature = trace.input(TEMPERATURE.name, TEMPERATURE.shape);
  const terms = vocabularyTerms(mlm.stages.text.terms, { teachers: [], student, batch, temperature });
  keep(terms.mlm, maskedLossOf(owner).name);
  return trace.finish(`masked ${owner}`);
}

/** Logits over the vocabulary at the masked tokens. [K, V] */
export function maskedLogitsProgram(placed: Placed, shape: BatchShape): Program {
  const { owner, config } = placed;
  const trace = new Trace();
  const features = traceModel(scopeOf(trace, placed, false), config, batchValues(trace, shape));
  const { masked } = shown(features, `a model of type ${config.model_type}`);
  keep(decode(masked), maskedLogitsOf(owner, shape.masked as number, config.vocab_size).name);
  return trace.finish(`masked logits ${owner}`);
}

/** What judges a model: as much of it as its heads and the batch allow. */
export function* judging(placed: Placed, shape: BatchShape): Generator<Program> {
  if (does("classification", placed.config)) yield forwardProgram(placed, shape);
  if (shape.masked && does("maskedLm", placed.config)) yield maskedProgram(placed, shape);
}

/**
 * A teacher's features as inputs of another program. Each becomes an input when the recipe first reads it;
 * the teacher's own program then computes and writes exactly those.
 */
class TeacherFeatures {
  readonly #trace = new Trace();
  readonly #read = new Map<string, Value>();
  readonly features: Features;

  constructor(
    readonly placed: Placed,
    into: Trace,
    shape: BatchShape,
  ) {
    const scope = scopeOf(this.#trace, placed, false);
    const own = traceModel(scope, placed.config, batchValues(this.#trace, shape));
    const facade: Record<string, unknown> = {};
    const offer = (holder: object, key: string | number, path: string, value: Value) =>
      Object.defineProperty(holder, key, {
        enumerable: true,
        get: () => {
          this.#read.set(path, value);
          return into.input(featureOf(placed.owner, path), value.shape);
        },
      });
    for (const [name, feature] of Object.entries(own) as [string, Features[keyof Features]][]) {
      if (feature instanceof Value) offer(facade, name, name, feature);
      else if (typeof feature === "number") facade[name] = feature;
      else if ("table" in feature) {
        // The teacher's weights are state, which both programs name alike.
        const { rows, ...weights } = feature;
        const decoder = Object.create(null);
        for (const [key, value] of Object.entries(weights))
          Object.defineProperty(decoder, key, {
            enumerable: true,
            get: () => into.state(value.name, value.shape),
          });
        offer(decoder, "rows", name, rows);
        facade[name] = decoder;
      } else {
        const list: Value[] = new Array(feature.length);
        for (const [i, value] of feature.entries()) offer(list, i, `${name}.${i}`, value);
        facade[name] = list;
      }
    }
    this.features = shown(facade, `a teacher of type ${placed.config.model_type}`);
  }

  /** Path → shape of what was read so far. */
  get read(): ReadonlyMap<string, readonly number[]> {
    return new Map([...this.#read].map(([path, { shape }]) => [path, shape]));
  }

  program(): Program {
    for (const [path, value] of this.#read) keep(value, featureOf(this.placed.owner, path));
    return this.#trace.finish(this.placed.owner);
  }
}

/** Soft labels are features of a teacher that is not here: its logits. */
function givenFeatures({ softLabels: C }: StepStructure, into: Trace, shape: BatchShape): Features[] {
  if (C === undefined) return [];
  const logits = { get: () => into.input("batch/softLabels", [shape.sequences, C]), enumerable: true };
  return [shown(Object.defineProperty({}, "logits", logits), "a file of soft labels")];
}

export interface StepPrograms {
  readonly teachers: readonly Program[];
  /** What each of them writes, path → shape. */
  readonly features: readonly ReadonlyMap<string, readonly number[]>[];
  readonly gradient: Program;
  readonly terms: readonly string[];
  /** What the loss trains, by name → shape: parameters of the student, and of the recipe (`project/…`). Others are left alone. */
  readonly trained: ReadonlyMap<string, readonly number[]>;
}

/** Parameters that belong to the recipe have names that begin with this. */
export const PROJECT = "project";

/** The loss of a batch, over the parameters of the student and of the recipe. */
function traceLoss(structure: StepStructure, shape: BatchShape, training: boolean) {
  const { student, stage } = structure;
  const trace = new Trace();
  const batch: BatchValues = batchValues(trace, shape);
  const scope = scopeOf(trace, student, training);
  const own = new Scope(trace, PROJECT, training);
  const teachers = structure.teachers.map((teacher) => new TeacherFeatures(teacher, trace, shape));
  const terms = traceTerms(stage, {
    teachers: [...teachers.map(({ features }) => features), ...givenFeatures(structure, trace, shape)],
    student: shown(traceModel(scope, student.config, batch), `a student of type ${student.config.model_type}`),
    batch,
    regression: structure.regression,
    temperature: trace.input(TEMPERATURE.name, TEMPERATURE.shape),
    project: (name, x, width) => linear(x, own.parameter(name, [width, x.shape[1]])),
  });
  const loss = Object.entries(terms)
    .map(([name, term]) => mul(term, trace.input(weightOf(name).name, [1])))
    .reduce(add);
  return { trace, scope, own, teachers, terms, loss };
}

export function stepPrograms(structure: StepStructure, shape: BatchShape): StepPrograms {
  const { student, stage } = structure;
  const { trace, scope, own, teachers, terms, loss } = traceLoss(structure, shape, true);
  const { prefix } = familyOf(student.config);
  const trains = ([path, value]: [string, Value]) =>
    !scope.frozen.has(value) &&
    !(stage.frozen && path.startsWith(prefix)) &&
    (stage.layer === undefined || layerOf(student.config, path) === stage.layer);
  const parameters = [...[...scope.parameters].filter(trains).map(([, value]) => value), ...own.parameters.values()];
  const reached = gradient(
    loss,
    new Map(parameters.map((value) => [value, trace.state(companions(value.name).gradient, value.shape)])),
  );
  for (const [name, term] of Object.entries(terms)) keep(term, metricOf(name).name);
  keep(loss, LOSS.name);
  const guarded = mul(loss, trace.state(ZERO.name, ZERO.shape));
  trace.retarget(copy({ x: guarded }, {}), trace.state(LOSS_GUARD.name, LOSS_GUARD.shape), true);
  return {
    features: teachers.map(({ read }) => read),
    teachers: teachers.map((teacher) => teacher.program()),
    gradient: trace.finish("gradient"),
    terms: Object.keys(terms),
    trained: new Map(parameters.filter((value) => reached.has(value)).map(({ name, shape }) => [name, shape])),
  };
}

/** What a stage is judged by where nobody learns: its loss of a batch, without dropout. */
export function lossPrograms(structure: StepStructure, shape: BatchShape): Program[] {
  const { trace, teachers, loss } = traceLoss(structure, shape, false);
  keep(loss, LOSS.name);
  const asked = teachers.filter(({ read }) => read.size > 0);
  return [...asked.map((teacher) => teacher.program()), trace.finish("loss")];
}

/** The layer that a parameter belongs to, counted from 1; what lies below the first belongs to it. */
function layerOf(config: ModelConfig, path: string): number {
  const { layers } = familyOf(config);
  return path.startsWith(layers) ? (Number.parseInt(path.slice(layers.length), 10) || 0) + 1 : 1;
}

/** What a stage trains; it does not depend on the batch. */
export function trainedParameters(structure: StepStructure): StepPrograms["trained"] {
  const masks = masksTokens(structure.stage) ? { masked: 1 } : {};
  return stepPrograms(structure, { sequences: 1, rows: 1, longest: 1, ...masks }).trained;
}

export function updateProgram(structure: StepStructure): Program {
  const trace = new Trace();
  const guard = trace.state(LOSS_GUARD.name, LOSS_GUARD.shape);
  const norm = traceUpdate(trace, structure.optimizer, trainedParameters(structure), guard);
  if (structure.student.half) lossScale({ state: trace.state(LOSS_SCALE.name, LOSS_SCALE.shape), norm }, {});
  return trace.finish("update");
}
