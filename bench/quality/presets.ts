// The tasks, and what each preset's cell is: its student, its recipe, and what of the recipe's numbers a cell of this size changes.

import { type DistillOptions, type Recipe, recipes } from "../../src/index.ts";

/** A training on the task: options of a run. */
export type Training = Partial<DistillOptions>;

interface Task {
  readonly train: string;
  /** What students are judged on. */
  readonly heldOut: readonly string[];
  /** Of the usual cell; 0: all. */
  readonly rows: number;
  readonly teacher: Partial<DistillOptions>;
}

export const TASKS: Readonly<Record<string, Task>> = {
  sst2: {
    ...{ train: "sst2/train.tsv", heldOut: ["sst2/dev.tsv", "sst2/test.tsv"], rows: 10_000 },
    teacher: { epochs: 1, learningRate: 8e-5, warmupRatio: 0.06 },
  },
  mrpc: {
    ...{ train: "mrpc/msr_paraphrase_train.txt", heldOut: ["mrpc/msr_paraphrase_test.txt"], rows: 0 },
    teacher: { epochs: 3, learningRate: 5e-5 },
  },
};

export interface Preset {
  readonly student: string;
  readonly recipe: string;
  /** Of the recipe's own numbers, what a cell of this size changes. */
  readonly options: Training;
  /** An IB-BERT that was distilled from the usual teacher comes in its place. */
  readonly teacher?: "ib";
  /** Stages on plain text, in a run of their own, and who teaches them: the base, the base with a masked-LM head, or the task's teacher. */
  readonly text?: {
    readonly teacher: "base" | "masked-lm" | "task";
    readonly options?: Training;
    readonly without?: string;
  };
  /** Epochs of the same rows on labels alone that are as many updates; those of `options` unless given. */
  readonly updates?: number;
}

const [CUT, FRESH] = ["layers:3", "bert:3x192x12"];
const usual = { epochs: 3, batchSize: 32, learningRate: 2e-4 };
const fresh = { epochs: 3, batchSize: 32, learningRate: 5e-4 };
/** On plain text, of a student that begins with layers of a trained model; lowered after 5e-4 had been judged on the held-out rows. */
const gentle = { learningRate: 1e-4 };
/** Between blocks as wide as their teacher, a quarter or an eighth as wide inside. */
export const IB = "ibbert:6x256x512x8x1024";
const THIN = { student: "mobilebert:6x256x64x8", teacher: "ib" } as const;
/** LAMB moves a tensor by so much of its norm in a step: it needs the recipe's own rate. */
const TRANSFER = { teacher: "task", without: "masked", options: { learningRate: 3e-2 } } as const;
/** A million tokens: 1,000 updates of 16 pieces of 64. */
export const MILLION = { epochs: 0, batchSize: 16, maxLength: 64, learningRate: 5e-4, seed: 1 };

function intermediate(epochs: number): DistillOptions["stages"] {
  return { intermediate: { epochs, batchSize: 32, learningRate: 5e-4, lrSchedulerType: "linear", warmupRatio: 0.1 } };
}

export const PRESETS: Readonly<Record<string, Preset>> = {
  kd: { student: CUT, recipe: "kd", options: usual },
  "pkd-skip": { student: CUT, recipe: "pkd-skip", options: usual },
  "pkd-last": { student: CUT, recipe: "pkd-last", options: usual },
  bilstm: { student: "bilstm:150", recipe: "bilstm", options: { epochs: 3, batchSize: 32, nIter: 3 }, updates: 9 },
  distilbert: {
    ...{ student: "distilbert:layers:3", recipe: "distilbert", options: usual },
    text: { teacher: "masked-lm", options: { ...gentle, restrictCeToMask: true, mlmSmoothing: 0 } },
  },
  "kd-fresh": { student: FRESH, recipe: "kd", options: fresh },
  "kd-sliced": { student: "slice:3x192", recipe: "kd", options: fresh },
  minilm: {
    ...{ student: FRESH, recipe: "minilm", options: fresh },
    text: { teacher: "base" },
  },
  "minilm-v2": {
    ...{ student: FRESH, recipe: "minilm-v2", options: fresh },
    text: { teacher: "base" },
  },
  "minilm-v2-cut": {
    ...{ student: CUT, recipe: "minilm-v2", options: usual },
    text: { teacher: "base", options: gentle },
  },
  assistant: {
    ...{ student: FRESH, recipe: "assistant", options: fresh },
    text: { teacher: "base" },
  },
  tinybert: {
    ...{ student: FRESH, recipe: "tinybert", options: { ...fresh, nIter: 0, stages: intermediate(6) }, updates: 9 },
    text: { teacher: "base" },
  },
  "tinybert-task": {
    ...{ student: FRESH, recipe: "tinybert", options: { ...fresh, nIter: 0, stages: intermediate(6) }, updates: 9 },
  },
  mobilebert: { ...THIN, recipe: "mobilebert", options: fresh, text: TRANSFER },
  "mobilebert-joint": { ...THIN, recipe: "mobilebert-joint", options: fresh, text: TRANSFER },
  "mobilebert-auxiliary": { ...THIN, recipe: "mobilebert-auxiliary", options: { epochs: 3, batchSize: 32 } },
};

/** The stages of a recipe on plain text, or those on the task. */
export function part(name: string, text: boolean, without?: string): Recipe {
  const { assistants, ...recipe } = recipes[name];
  const stages = Object.entries(recipe.stages).filter(
    ([stage, { data }]) => (data === "text") === text && stage !== without,
  );
  return { ...recipe, ...(text && assistants ? { assistants } : {}), stages: Object.fromEntries(stages) };
}

/** The training of a preset on the task, and of the same student on labels alone: as many updates, by the same optimiser. */
export function trainings({ recipe, options: own, updates }: Preset): {
  readonly own: Training;
  readonly labels: Training;
} {
  const { optimizer, learningRate, lrSchedulerType, warmupRatio, adamBeta2, weightDecay, maxGradNorm } = {
    ...Object.values(recipes[recipe].stages).at(-1)?.training,
    ...own,
  };
  const numbers = { optimizer, learningRate, lrSchedulerType, warmupRatio, adamBeta2, weightDecay, maxGradNorm };
  return { own, labels: { ...numbers, batchSize: own.batchSize, epochs: updates ?? own.epochs } };
}
