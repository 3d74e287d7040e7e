// What a checkpoint is: everything from which a run goes on as if nothing had happened, in four files that others can read.
//   model.safetensors       the student's weights, by their names in its folder
//   optimizer.safetensors   all else that the device holds: moments (m/…, v/…), matrices of the recipe (project/…), the scale of the loss
//   trainer_state.json      where the run is (stage, update, epoch, batch), the counters of dropout and optimiser, metrics and notes so far, and
//                           what run it is (identity.ts)
//   manifest.json           size and SHA-256 of the others: written last, so a folder without one is no checkpoint
// Order of the data, masks and dropout are functions of the seed and of these counters, so there is no random state.

import * as v from "valibot";
import { InputError } from "../errors.ts";
import { decodeUtf8, type Files, formatCount, quote, toBytes } from "../formats/files.ts";
import { matchTensors } from "../formats/huggingface.ts";
import { parseJson, printJson } from "../formats/json.ts";
import { parseSafetensors, serializeSafetensors, toFloat32 } from "../formats/safetensors.ts";
import { sha256 } from "../sha256.ts";
import { VERSION } from "../version.ts";
import type { Identity } from "./identity.ts";
import type { Tensor, Weights } from "./model.ts";
import { parametersOf, type StepStructure } from "./programs.ts";
import type { LoopState, Recorded } from "./run.ts";
import type { TrainerState } from "./state.ts";
import { stateShapes } from "./trainer.ts";

export interface Checkpoint {
  /** Updates of the whole run, and those of the stages before this one. */
  readonly step: number;
  readonly before: number;
  readonly stage: string;
  readonly loop: LoopState;
  readonly weights: Weights;
  /** Its tensors are those of optimizer.safetensors. */
  readonly trainer: TrainerState;
  readonly events: readonly Recorded[];
  readonly notes: readonly string[];
  /** Of the stages before this one. */
  readonly seconds: number;
  /** Where equal programs give equal bits. */
  readonly numerics: string;
  readonly identity: Identity;
}

const MODEL = "model.safetensors";
const OPTIMIZER = "optimizer.safetensors";
const STATE = "trainer_state.json";
const MANIFEST = "manifest.json";
const FORMAT = "limbeck checkpoint 1";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const record = v.record(v.string(), v.unknown());

const STATES = v.object({
  ...{ format: v.literal(FORMAT), limbeck: v.string(), step: count, before: count, stage: v.string() },
  loop: v.object({
    ...{ step: count, epoch: count, batch: count, tokens: count, skipped: count, evaluatedAt: count },
    microBatch: v.optional(count),
    metrics: v.optional(record),
    best: v.optional(v.object({ step: count, value: v.number(), metrics: record })),
    seconds: v.number(),
  }),
  ...{ microBatches: count, clock: v.record(v.string(), v.number()) },
  steps: v.object({ taken: count, skipped: count, inRow: count }),
  ...{ events: v.array(v.looseObject({ type: v.string() })), notes: v.array(v.string()), seconds: v.number() },
  ...{ numerics: v.string(), identity: record },
});

const MANIFESTS = v.object({
  format: v.literal(FORMAT),
  files: v.object({
    [MODEL]: v.object({ bytes: count, sha256: v.string() }),
    [OPTIMIZER]: v.object({ bytes: count, sha256: v.string() }),
    [STATE]: v.object({ bytes: count, sha256: v.string() }),
  }),
});

/** Fills the folder of a checkpoint. */
export async function writeCheckpoint(files: Files, checkpoint: Checkpoint): Promise<void> {
  const { trainer, weights, ...rest } = checkpoint;
  const { tensors, ...counters } = trainer;
  const state = { format: FORMAT, limbeck: VERSION, ...rest, ...counters };
  const contents: [string, () => Uint8Array][] = [
    [MODEL, () => serializeSafetensors(weights)],
    [OPTIMIZER, () => serializeSafetensors(tensors)],
    [STATE, () => toBytes(`${printJson(state, 2)}\n`)],
  ];
  const listed: Record<string, { bytes: number; sha256: string }> = {};
  for (const [name, content] of contents) {
    const bytes = content();
    listed[name] = { bytes: bytes.length, sha256: await sha256(bytes) };
    await files.write(name, bytes);
  }
  await files.write(MANIFEST, toBytes(`${JSON.stringify({ format: FORMAT, files: listed }, null, 2)}\n`));
}

/** The checkpoint in a folder; an error that says what is wrong with it where it is not, byte for byte, what was written. */
export async function readCheckpoint(files: Files): Promise<Checkpoint> {
  const { files: listed } = checked(MANIFESTS, await files.read(MANIFEST), `${files.folder}/${MANIFEST}`);
  const contents = new Map<string, Uint8Array>();
  for (const [name, { bytes: size, sha256: hash }] of Object.entries(listed)) {
    const bytes = await files.read(name);
    const differs =
      bytes.length !== size
        ? `it has ${formatCount(bytes.length)} bytes, expected ${formatCount(size)}`
        : (await sha256(bytes)) !== hash && "its SHA-256 is not that of the manifest";
    if (differs) throw new InputError("CHECKPOINT_DAMAGED", `${differs}.`, { where: `${files.folder}/${name}` });
    contents.set(name, bytes);
  }
  const tensors = (name: string): Weights => {
    const where = `${files.folder}/${name}`;
    const raw = parseSafetensors(contents.get(name) as Uint8Array, where).tensors;
    return new Map([...raw].map(([key, tensor]) => [key, { shape: tensor.shape, data: toFloat32(tensor, where) }]));
  };
  const { microBatches, clock, steps, ...state } = checked(
    STATES,
    contents.get(STATE) as Uint8Array,
    `${files.folder}/${STATE}`,
  );
  const trainer = { microBatches, clock, steps, tensors: tensors(OPTIMIZER) };
  return { ...(state as unknown as Omit<Checkpoint, "trainer" | "weights">), trainer, weights: tensors(MODEL) };
}

function checked<S extends v.GenericSchema>(schema: S, bytes: Uint8Array, where: string): v.InferOutput<S> {
  const { success, output, issues } = v.safeParse(schema, parseJson(decodeUtf8(bytes, where, "NOT_UTF8"), { where }));
  if (success) return output;
  const [{ message, input }] = issues;
  throw new InputError("CHECKPOINT_DAMAGED", `${v.getDotPath(issues[0]) ?? "it"}: ${message}, ${quote(input)}.`, {
    where,
  });
}

/** The trainer's state, where the checkpoint has exactly the tensors that this stage trains. */
export function stateOf({ trainer, weights }: Checkpoint, structure: StepStructure, where: string): TrainerState {
  const { owner, config } = structure.student;
  const expected = (shapes: Iterable<readonly [string, readonly number[]]>) =>
    [...shapes].map(([name, shape]) => ({ name, shape }));
  matchTensors(expected(parametersOf(config)), weights, { where: `${where}/${MODEL}` });
  const own = (name: string) => name.startsWith(`${owner}/`);
  const beside = [...stateShapes(structure)].filter(([name]) => !own(name));
  matchTensors(expected(beside), trainer.tensors, { where: `${where}/${OPTIMIZER}` });
  return { ...trainer, tensors: new Map([...trainer.tensors, ...owned(owner, weights)]) };
}

/** About how large the files of a checkpoint are that grow with the model. */
export function bytesOfCheckpoint(structure: StepStructure): { checkpoint: number; model: number } {
  const { owner, config } = structure.student;
  const own = new Map([...parametersOf(config)].map(([path, shape]) => [`${owner}/${path}`, shape]));
  const bytes = (shapes: Iterable<readonly number[]>) =>
    [...shapes].reduce((sum, shape) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
  return { checkpoint: bytes(new Map([...own, ...stateShapes(structure)]).values()), model: bytes(own.values()) };
}

/** A trainer's state in a checkpoint: the student's weights, which it may have trained in part, and all else. */
export function partsOf(
  { tensors, ...counters }: TrainerState,
  owner: string,
  weights: Weights,
): Pick<Checkpoint, "trainer" | "weights"> {
  const names = new Set([...weights.keys()].map((path) => `${owner}/${path}`));
  return {
    trainer: { ...counters, tensors: new Map([...tensors].filter(([name]) => !names.has(name))) },
    weights: new Map([...weights].map(([path, tensor]) => [path, tensors.get(`${owner}/${path}`) ?? tensor])),
  };
}

const owned = (owner: string, weights: Weights): [string, Tensor][] =>
  [...weights].map(([path, tensor]) => [`${owner}/${path}`, tensor]);
