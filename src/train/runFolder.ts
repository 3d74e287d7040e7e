// How a run is kept while it goes on: its output folder has `checkpoint-STEP/`, the newest few, and a lock. A checkpoint is written aside, synced,
// and takes its name when it is whole (Files.create); only then do older ones go. So whenever the process or the power fails, there is one
// on the disk from which the run goes on.

import { InputError, LimbeckError } from "../errors.ts";
import { decodeUtf8, type Files, formatCount, outputExists } from "../formats/files.ts";
import { isObject, type JsonObject, parseJson } from "../formats/json.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { sha256 } from "../sha256.ts";
import { type Checkpoint, readCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import { differences, type Identity } from "./identity.ts";
import { isLock, Lock, type Owned } from "./lock.ts";
import type { Weights } from "./model.ts";

export interface KeepingOptions {
  /** A checkpoint every so many updates, 0 unless given: at the end of each epoch. At the end of each stage there is always one. */
  readonly saveSteps?: number;
  /** Checkpoints that are kept, the newest; 2 unless given. Given, they stay when the run is complete; else they go then. */
  readonly saveTotalLimit?: number;
  /** Goes on with the run in `out` from its newest valid checkpoint; from the beginning where there is none. */
  readonly resume?: boolean;
  /** As `resume`, though data, models or options are others than those that the run was begun with. */
  readonly forceResume?: boolean;
  readonly overwrite?: boolean;
  /** "no": the model alone is written, at the end. */
  readonly saveStrategy?: "no";
}

export const KEEPING = { saveSteps: 0, saveTotalLimit: 2 };

export const resumes = ({ resume, forceResume }: KeepingOptions): boolean => resume === true || forceResume === true;

const NAME = /^checkpoint-(\d{1,15})$/;
const RECORD = "limbeck.json";
const WEIGHTS = "model.safetensors";

/** Where a run begins: behind a checkpoint, or nowhere any more, since it is finished. */
export type Begun =
  | { readonly checkpoint: Checkpoint; readonly name: string; readonly forced?: string }
  | { readonly finished: JsonObject }
  | undefined;

export class RunFolder {
  private constructor(
    readonly files: Files,
    readonly options: KeepingOptions,
    readonly lock: Owned | undefined,
  ) {}

  /** Makes the folder if there is none, and takes it for this run alone. Yields what to tell. */
  static async *open(
    runtime: Pick<Runtime, "processes">,
    files: Files,
    options: KeepingOptions,
  ): AsyncGenerator<string, RunFolder> {
    if (!(await files.exists())) {
      await files
        .create(async () => {})
        .catch(async (error) => {
          // Two runs may have made it at once; the lock decides.
          if (!(await files.exists())) throw error;
        });
    } else await checkOwn(files, options);
    const folder = new RunFolder(files, options, yield* Lock.take(runtime, files));
    try {
      await files.tidy();
    } catch (error) {
      await folder.close();
      throw error;
    }
    return folder;
  }

  /** What there is to go on from. Yields what to tell. */
  async *begin(identity: Identity): AsyncGenerator<string, Begun> {
    const { files, options } = this;
    if (!resumes(options)) {
      await this.#forget();
      return undefined;
    }
    const record = await recordOf(files);
    const changed = isObject(record?.identity) ? differences(record.identity, identity) : ["identity: none"];
    if (record?.complete === true && changed.length === 0) {
      const intact = await this.#isIntact(record);
      if (intact) {
        yield `the run in ${files.folder} is finished: nothing is changed`;
        // Its end may have been cut short when the model was whole.
        if (record.keptCheckpoints === 0) await this.#forget();
        return { finished: record };
      }
      yield `${files.folder}/${WEIGHTS} is damaged: the end of the run is made again`;
    }
    for (const step of (await this.#steps()).reverse()) {
      const home = this.#of(step);
      let checkpoint: Checkpoint;
      try {
        checkpoint = await readCheckpoint(home);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        yield `checkpoint-${step} is damaged, the one before is used (${error.message})`;
        continue;
      }
      const other = differences(checkpoint.identity, identity);
      const longer = record?.complete === true && other.every(lengthens);
      if (other.length > 0 && !options.forceResume && !longer) throw changedRun(files, other);
      yield `the run goes on behind ${home.folder}`;
      const how = longer
        ? "the finished run goes on, and its schedule with it"
        : "resumed by force, though this changed";
      const forced = other.length > 0 ? `${how}: ${other.join("; ")}` : undefined;
      return { checkpoint, name: home.folder, forced };
    }
    if (record && changed.length > 0) throw changedRun(files, changed, record.complete === true);
    yield `there is no valid checkpoint in ${files.folder}: the run starts from the beginning`;
    return undefined;
  }

  /** Refuses a folder whose disk would be full before the run ends, as far as that is known: the oldest checkpoint goes when the next is there. */
  async requireSpace(checkpoint: number, model: number): Promise<void> {
    const { files, options } = this;
    const free = await files.free?.();
    const kept = options.saveTotalLimit ?? KEEPING.saveTotalLimit;
    const missing = Math.max(0, kept + 1 - (await this.#steps()).length);
    const needed = missing * checkpoint + model;
    if (free === undefined || free >= needed) return;
    throw new LimbeckError(
      "DISK_FULL",
      `${formatCount(free)} bytes are free, and the run writes up to ${formatCount(needed)}: ${missing} checkpoints of ${formatCount(checkpoint)} and the model; make room, lower --save-total-limit, or name another folder.`,
      { where: files.folder },
    );
  }

  async save(checkpoint: Checkpoint): Promise<string> {
    const { step } = checkpoint;
    await this.lock?.require();
    const home = this.#of(step);
    // A damaged one: from a valid one the run would have gone on.
    if (await home.exists()) await home.discard();
    await home.create((draft) => writeCheckpoint(draft, checkpoint));
    const { before, loop } = checkpoint;
    await this.#prune(
      step,
      this.options.saveTotalLimit ?? KEEPING.saveTotalLimit,
      loop.best && before + loop.best.step,
    );
    return home.folder;
  }

  /** The weights of a checkpoint of this run. */
  async weightsOf(step: number): Promise<Weights> {
    return (await readCheckpoint(this.#of(step))).weights;
  }

  /** The model that the run ended with. Of a run that is complete, checkpoints that nobody asked for go. */
  async finish<T>(write: (files: Files) => Promise<T>, complete: boolean): Promise<T> {
    await this.lock?.require();
    const written = await write(this.files);
    if (complete && this.options.saveTotalLimit === undefined) await this.#forget();
    return written;
  }

  /** Gives the folder back; one in which nothing was kept is removed. */
  async close(): Promise<void> {
    await this.lock?.release();
    const { files } = this;
    try {
      if ((await files.list()).length + (await files.folders()).length === 0) await files.discard();
    } catch (error) {
      // The run has ended as it has; what is left of the folder cannot change that.
      if (!(error instanceof LimbeckError)) throw error;
    }
  }

  async #forget(): Promise<void> {
    for (const step of await this.#steps()) await this.#of(step).discard();
  }

  /** The newest are kept, and the best. Those of later steps than the last are damaged, or of a future that was given up. */
  async #prune(last: number, limit: number, best?: number): Promise<void> {
    const steps = await this.#steps();
    const kept = new Set(steps.filter((step) => step <= last).slice(-limit));
    if (best !== undefined) kept.add(best);
    for (const step of steps) if (!kept.has(step)) await this.#of(step).discard();
  }

  #of(step: number): Files {
    return this.files.sub(`checkpoint-${step}`);
  }

  async #steps(): Promise<number[]> {
    const found = (await this.files.folders()).flatMap((name) => NAME.exec(name)?.[1] ?? []);
    return found.map(Number).sort((a, b) => a - b);
  }

  async #isIntact({ weights }: JsonObject): Promise<boolean> {
    const { files } = this;
    if ((await files.size(WEIGHTS)) === undefined || (await files.size("config.json")) === undefined) return false;
    return isObject(weights) && weights.sha256 === (await sha256(await files.read(WEIGHTS)));
  }
}

/** What a mistyped path names is neither replaced nor trained into. */
async function checkOwn(files: Files, { overwrite, ...options }: KeepingOptions): Promise<void> {
  const [names, folders] = [await files.list(), await files.folders()];
  const checkpoints = folders.some((name) => NAME.test(name));
  const foreign = folders.find((name) => !NAME.test(name) && !isLock(name));
  const ours = checkpoints || names.includes(RECORD) || (names.length === 0 && foreign === undefined);
  if (resumes(options) && ours && !overwrite) return;
  if (!overwrite) throw outputExists(files.folder);
  if (foreign === undefined && (ours || names.includes("config.json"))) return;
  const reason = foreign === undefined ? "has files but no config.json" : `holds ${foreign}, which is no plain file`;
  throw new InputError(
    "NOT_REPLACEABLE",
    `not a model folder: it ${reason}. Remove it yourself, or name another one.`,
    { where: files.folder },
  );
}

export async function recordOf(files: Files): Promise<JsonObject | undefined> {
  if ((await files.size(RECORD)) === undefined) return undefined;
  const where = `${files.folder}/${RECORD}`;
  const json = parseJson(decodeUtf8(await files.read(RECORD), where, "NOT_UTF8"), { where });
  return isObject(json) ? json : undefined;
}

/** More of the same: the one difference in which a finished run goes on. */
function lengthens(difference: string): boolean {
  const [, before, now] = /^stages\.[^.]+\.(?:epochs|maxSteps): ([\d.]+) → ([\d.]+)$/.exec(difference) ?? [];
  return Number(now) > Number(before);
}

function changedRun({ folder }: Files, changed: readonly string[], finished = false): InputError {
  const how = finished ? "is finished, and was another" : "was begun with other things, and would not end as it began";
  const force = finished
    ? " (more epochs need the checkpoints that --save-total-limit keeps)"
    : ", or go on all the same with --force-resume";
  return new InputError(
    "RESUME_CHANGED",
    `the run in this folder ${how}:\n${changed.map((line) => `  ${line}\n`).join("")}Give what it was begun with, start anew with another --out or --overwrite${force}.`,
    { where: folder },
  );
}
