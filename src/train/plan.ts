// What a run would take, without training: parameters, operations, memory, steps, and the time from a few measured steps.
//   FLOPs of a forward pass   those of the products in its program, 2 for each multiply-add: of a BERT 2·W per token (W: weights of the
//                             products in the layers; embeddings are looked up) + 4·L·D·n for a sequence of n tokens attending to n,
//                             per token (scores and mix) + 2·(D² + D·C) per sequence (pooler and classifier)
//   FLOPs of training         3 × forward of the student (forward, gradients of inputs, gradients of weights) + forward of each teacher
//   memory                    weights, gradients and both moments of the student, weights of the teachers, inputs, and
//                             the slots of temporaries (program/plan.ts) for the largest batch of the run
// (Kaplan et al. 2020, arXiv:2001.08361, section 2.1, counts in this way.)

import type { Batch } from "../data/batch.ts";
import { MASKED_SHARE } from "../data/masking.ts";
import { InputError } from "../errors.ts";
import type { Executor } from "../executors/executor.ts";
import type { BatchShape } from "../models/features.ts";
import { familyOf, type ModelConfig } from "../models/index.ts";
import { plan as planSlots } from "../program/plan.ts";
import type { Instruction } from "../program/program.ts";
import { packedBytes, sizeOf, type Value } from "../program/value.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { type DistillOptions, distillSetup } from "./distill.ts";
import { type EncodedSet, encode, truncationNote } from "./evaluate.ts";
import { type FinetuneOptions, finetuneSetup } from "./finetune.ts";
import { trainingPrograms } from "./largest.ts";
import { parameterCount } from "./model.ts";
import type { TrainingOptions } from "./options.ts";
import { featureProgram, judging, type StepStructure, stepPrograms, updateProgram } from "./programs.ts";
import { hyperAt, makeMicroBatches, microBatches, plannedSteps } from "./run.ts";
import { openDevice } from "./session.ts";
import type { RunStage } from "./stages.ts";
import { copiesOfRow } from "./substitutes.ts";
import { TextRows } from "./text.ts";
import { checkOutput, maxLengthOf, optimizerOptions, placesOf, type Setup, structureOf } from "./train.ts";
import { placeWeights, shapeOf, Trainer } from "./trainer.ts";

/** The probe ends after this many measured steps, or this many seconds. */
const PROBE_STEPS = 8;
const PROBE_SECONDS = 8;

export interface PlannedModel {
  readonly role: "teacher" | "student" | "model";
  readonly name: string;
  readonly parameters: number;
  /** Of model.safetensors, nearly. */
  readonly bytes: number;
  /** Forward pass, averaged over the tokens of the data. */
  readonly flopsPerToken: number;
}

export interface RunPlan {
  readonly models: readonly PlannedModel[];
  readonly rows: number;
  /** Real tokens of one epoch, and of the run. */
  readonly tokensPerEpoch: number;
  readonly tokens: number;
  readonly steps: number;
  readonly flopsPerStep: number;
  readonly memory: {
    /** Weights, gradients and moments of the student. */
    readonly student: number;
    readonly teachers: number;
    /** Batches, and what the teachers hand to the student. */
    readonly inputs: number;
    readonly temporaries: number;
    readonly total: number;
  };
  readonly largestBatch: BatchShape;
  readonly probe: {
    readonly steps: number;
    readonly secondsPerStep: number;
    readonly tokensPerSecond: number;
    readonly flopsPerSecond: number;
    /** What the device had allocated after it. */
    readonly memoryBytes: number;
  };
  /** Of the training steps; evaluations come on top. */
  readonly estimatedSeconds: number;
  readonly device: string;
  readonly notes: readonly string[];
}

export type PlanOptions = DistillOptions | FinetuneOptions;

export async function plan(runtime: Runtime, options: PlanOptions): Promise<RunPlan> {
  await checkOutput(runtime, options);
  const setup = "model" in options ? await finetuneSetup(runtime, options) : await distillSetup(runtime, options);
  const maxLength = maxLengthOf(setup, options);
  const encoded = encode(setup.data.train, setup.student.tokenizer, maxLength);
  // A teacher of another vocabulary is asked before the steps; here any logits will do.
  const soft = new Array(setup.student.config.num_labels).fill(0);
  const known = setup.foreign ? { ...encoded, rows: encoded.rows.map((row) => ({ ...row, soft })) } : encoded;
  const copies = copiesOfRow(setup);
  const set = { ...known, rows: Array.from({ length: 1 + copies }, () => known.rows).flat() };
  const lengths = set.rows.map(({ ids }) => ids.length);
  const text = setup.data.text && new TextRows(setup.data.text, setup.student.tokenizer, maxLength);
  const stages = setup.stages
    .map((stage) => ({ stage, rows: text && stage.stage.data === "text" ? text.of(stage) : set }))
    .filter(({ stage, rows }) => plannedSteps(rows.rows.length, stage.options) > 0)
    .map(({ stage, rows }) => planStage(setup, stage, rows));
  if (stages.length === 0)
    throw new InputError("NO_STEPS", "0 epochs are 0 steps: nothing to plan.", { where: "--epochs" });
  const [steps, tokens, flops] = [
    sum(stages.map((stage) => stage.steps)),
    sum(stages.map((stage) => stage.tokens)),
    sum(stages.map((stage) => stage.flops)),
  ];

  const all = [...setup.teachers, setup.student];
  const models = all.map((model, i): PlannedModel => {
    const teacher = i < setup.teachers.length;
    const parameters = parameterCount(model.config);
    return {
      role: teacher ? "teacher" : setup.command === "distill" ? "student" : "model",
      name: model.name,
      parameters,
      bytes: 4 * parameters,
      flopsPerToken: forwardFlops(model.config, lengths) / sum(lengths),
    };
  });
  const largest = stages.map((stage) => stage.largest).reduce((a, b) => (a.memory.total >= b.memory.total ? a : b));

  const programs = function* () {
    for (const { structure, options: own, rows } of stages) yield* trainingPrograms(structure, own.batchSize, rows);
  };
  const device = await openDevice(runtime, options, programs, { fp16: stages[0].options.fp16 });
  try {
    for (const [owner, weights] of placesOf(setup)) placeWeights(device.executor, owner, weights);
    const measured = { steps: 0, tokens: 0, seconds: 0 };
    let memoryBytes = 0;
    let estimatedSeconds = 0;
    for (const stage of stages) {
      const found = await probe(device.executor, stage, setup);
      estimatedSeconds += (stage.tokens * found.seconds) / found.tokens;
      for (const key of ["steps", "tokens", "seconds"] as const) measured[key] += found[key];
      memoryBytes = Math.max(memoryBytes, found.memoryBytes);
    }
    const notes = [...all.flatMap((model) => model.notes), ...setup.data.notes];
    if ("teacher" in options && (options.assistant ?? setup.recipe.assistants) !== undefined)
      notes.push("of the student alone: its assistants come on top; plan them as students of their own");
    if (copies > 0)
      notes.push(
        `with the ${copies} copies of each row that there may be; making them comes on top, repeats fall away`,
      );
    if (setup.foreign) notes.push("the teacher's one pass over the rows comes on top");
    if (set.truncated > 0) notes.push(truncationNote(setup.data.train, set, maxLength));
    const tokensPerSecond = measured.tokens / measured.seconds;
    return {
      ...{ models, rows: set.rows.length, tokensPerEpoch: sum(lengths), tokens, steps, notes, device: device.choice },
      flopsPerStep: flops / steps,
      memory: largest.memory,
      largestBatch: largest.shape,
      probe: {
        ...{ steps: measured.steps, secondsPerStep: measured.seconds / measured.steps, tokensPerSecond },
        flopsPerSecond: (tokensPerSecond * flops) / tokens,
        memoryBytes,
      },
      estimatedSeconds,
    };
  } finally {
    device.executor.dispose();
  }
}

interface PlannedStage extends Tally {
  readonly structure: StepStructure;
  readonly options: TrainingOptions;
  readonly rows: EncodedSet["rows"];
  readonly steps: number;
  readonly flops: number;
  /** The batch that needs the most memory. */
  readonly largest: { shape: BatchShape; memory: RunPlan["memory"] };
}

function planStage(setup: Setup, stage: RunStage, set: EncodedSet): PlannedStage {
  const structure = structureOf(setup, stage);
  const { options } = stage;
  const steps = plannedSteps(set.rows.length, options);
  const seen = tally(set, options, steps, structure.regression);
  const lengths = set.rows.map(({ ids }) => ids.length);
  const perEpoch = sum([
    3 * forwardFlops(setup.student.config, lengths),
    ...structure.teachers.map(({ config }) => forwardFlops(config, lengths)),
  ]);
  // Either the longest text or the most tokens may need the largest temporaries.
  const largest = [(s: BatchShape) => s.rows * s.longest, (s: BatchShape) => s.rows]
    .map((size) => seen.shapes.reduce((a, b) => (size(a) >= size(b) ? a : b)))
    .map((shape) => ({ shape, memory: memoryOf(structure, shape) }))
    .reduce((a, b) => (a.memory.total >= b.memory.total ? a : b));
  const flops = (perEpoch * seen.tokens) / sum(lengths);
  return { ...seen, structure, options, rows: set.rows, steps, flops, largest };
}

/** Multiply-adds of the ops that are products. */
const PRODUCTS: Readonly<Record<string, (instruction: Instruction) => number>> = {
  matmul: ({ output, dims, attributes }) => sizeOf(output as Value) * (attributes.transposeA ? dims.P : dims.Q),
  attentionPairs: ({ dims: { N, L, D } }) => N * L * D,
  attentionMix: ({ dims: { N, L, D } }) => N * L * D,
  lstm: ({ dims: { N, G, H } }) => N * G * H,
};

/** Of all sequences together; with the classifier, where there is none with the masked-LM head, or of the body alone. */
function forwardFlops(config: ModelConfig, lengths: readonly number[]): number {
  const flops = new Map<number, number>();
  const placed = { owner: "any", config };
  const last = `hidden.${familyOf(config).size(config).layers - 1}`;
  for (const n of new Set(lengths)) {
    const shape = { sequences: 1, rows: n, longest: n, masked: Math.ceil(MASKED_SHARE * n) };
    const [{ instructions } = featureProgram(placed, [last], shape)] = judging(placed, shape);
    flops.set(n, sum(instructions.map((instruction) => 2 * (PRODUCTS[instruction.op.name]?.(instruction) ?? 0))));
  }
  return sum(lengths.map((n) => flops.get(n) as number));
}

interface Tally {
  tokens: number;
  /** Every shape once. */
  shapes: BatchShape[];
  /** Micro-batches of the first steps, for the probe. */
  first: Batch[][];
}

/** Goes through the batches of the run as the training loop will. */
function tally(set: EncodedSet, options: TrainingOptions, steps: number, regression: boolean): Tally {
  const shapes = new Map<string, BatchShape>();
  const result: Tally = { tokens: 0, shapes: [], first: [] };
  for (let epoch = 0, step = 0; step < steps; epoch++)
    for (const indices of microBatches(set.rows.length, options, epoch)) {
      if (step++ === steps) break;
      const batches = makeMicroBatches(set, indices, options, regression, epoch);
      if (result.first.length <= PROBE_STEPS) result.first.push(batches);
      for (const batch of batches) {
        result.tokens += batch.tokens;
        shapes.set(JSON.stringify(shapeOf(batch)), shapeOf(batch));
      }
    }
  return { ...result, shapes: [...shapes.values()] };
}

function memoryOf(structure: StepStructure, shape: BatchShape): RunPlan["memory"] {
  const { teachers, gradient } = stepPrograms(structure, shape);
  const programs = [...teachers, gradient, updateProgram(structure)];
  const persistent = new Map(
    programs
      .flatMap(({ values }) => values)
      .filter(({ storage }) => storage === "input" || storage === "state")
      .map((value) => [value.name, value]),
  );
  const bytesOf = (holds: (value: Value) => boolean) =>
    sum([...persistent.values()].filter(holds).map((value) => 4 * sizeOf(value)));
  const isTeacher = ({ name, storage }: Value) =>
    storage === "state" && structure.teachers.some(({ owner }) => name.startsWith(`${owner}/`));
  const parts = {
    student: bytesOf((value) => value.storage === "state" && !isTeacher(value)),
    teachers: bytesOf(isTeacher),
    inputs: bytesOf((value) => value.storage === "input"),
    temporaries: Math.max(...programs.map((program) => sum(planSlots(program, packedBytes).slots))),
  };
  return { ...parts, total: sum(Object.values(parts)) };
}

/** A few real steps; the first, which warms caches and compilers, does not count. */
async function probe(
  executor: Executor,
  { structure, options, steps: planned, first, largest }: PlannedStage,
  { hyper }: Setup,
) {
  const trainer = new Trainer(executor, structure, { optimizer: optimizerOptions(options), seed: options.seed });
  trainer.prepare(largest.shape);
  const now = hyperAt(hyper, 0, planned);
  let [steps, tokens, seconds] = [0, 0, 0];
  await trainer.step(first[0], options.learningRate, now);
  while (steps < PROBE_STEPS && seconds < PROBE_SECONDS) {
    const batches = first[(steps + 1) % first.length];
    const began = performance.now();
    await trainer.step(batches, options.learningRate, now);
    seconds += (performance.now() - began) / 1000;
    tokens += sum(batches.map((batch) => batch.tokens));
    steps++;
  }
  const memoryBytes = executor.memory().bytes;
  trainer.release();
  return { steps, tokens, seconds, memoryBytes };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
