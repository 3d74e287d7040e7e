// Work that outlives its device. A GPU may be lost at any moment: another one is opened, models are placed and programs loaded again, the
// training comes back from its last snapshot on the host, and the steps since then are taken again. They compute what they computed
// before, so nobody can tell from the numbers. Where nothing can be lost (WASM) nothing is kept, and calls go straight through.
// Memory that does not suffice is no loss: the same updates are made of half as many sequences at a time, from the snapshot on.

import type { Batch } from "../data/batch.ts";
import { LimbeckError } from "../errors.ts";
import { type Executor, isTooLarge } from "../executors/executor.ts";
import type { BatchShape } from "../models/features.ts";
import type { Hyper } from "../recipes/recipe.ts";
import type { Weights } from "./model.ts";
import { MAX_BAD_STEPS } from "./options.ts";
import type { Placed, StepStructure } from "./programs.ts";
import type { Device } from "./session.ts";
import { bytesOfState, type StepCounts, type TrainerState } from "./state.ts";
import {
  type Given,
  NonfiniteError,
  nonfinite,
  Predictor,
  placeWeights,
  readWeights,
  type StepResult,
  Trainer,
} from "./trainer.ts";

/**
 * Steps from one snapshot to the next. Reading back weights and moments costs about as much as a step or two, so this adds a few percent;
 * a loss costs at most as many steps again. Counted in steps, not in time: two runs take the same snapshots.
 */
export const SNAPSHOT_STEPS = 100;

/** So many losses without SNAPSHOT_STEPS pieces of work (steps, batches) between them, and the GPU is given up. */
const LOSSES = 3;
const RETRY_MS = 500;

const isLoss = (error: unknown): error is LimbeckError =>
  error instanceof LimbeckError && (error.code === "GPU_LOST" || error.code === "GPU_ERROR");

export class LastingDevice {
  #device: Device;
  readonly #instead: () => Promise<Device>;
  readonly #placed = new Map<string, Weights>();
  readonly #notes: string[] = [];
  /** In Node a device that was lost may still owe answers, and must not be collected before. */
  readonly #lost: Device[] = [];
  /** Losses, and work since the last of them. */
  #losses = 0;
  #work = 0;
  #replacing: Promise<void> | undefined;
  /** Brings a training to where it was; returns the number of steps that were taken again. */
  revive: ((executor: Executor) => Promise<number>) | undefined;
  /** Has a training need less memory; false where it needs the least already. */
  lighten: ((error: LimbeckError) => boolean) | undefined;

  /** `instead` opens what takes the place of a GPU that is given up. */
  constructor(
    device: Device,
    instead: () => Promise<Device>,
    readonly every = SNAPSHOT_STEPS,
  ) {
    [this.#device, this.#instead] = [device, instead];
  }

  get executor(): Executor {
    return this.#device.executor;
  }

  get choice(): string {
    return this.#device.choice;
  }

  /** Where equal programs give equal bits. */
  get numerics(): string {
    return [this.executor.name, this.#device.adapter ?? this.#device.numerics ?? []].flat().join(" ");
  }

  get canBeLost(): boolean {
    return this.executor.name === "webgpu";
  }

  /** What the user should hear of, once. */
  notes(): string[] {
    return this.#notes.splice(0);
  }

  tell(text: string): void {
    this.#notes.push(text);
  }

  /** A model whose weights are here now and on every later device. */
  async place(owner: string, weights: Weights): Promise<void> {
    this.#placed.set(owner, weights);
    await this.attempt(async (executor) => placeWeights(executor, owner, weights));
  }

  placeAgain(owner: string): void {
    placeWeights(this.executor, owner, this.#placed.get(owner) ?? new Map());
  }

  /** As `place`, of weights that are there already. */
  keep(owner: string, weights: Weights): void {
    this.#placed.set(owner, weights);
  }

  /** Work that may be done again: on another device, should this one be lost. */
  async attempt<T>(work: (executor: Executor) => Promise<T>): Promise<T> {
    for (;;) {
      // Until everything is back, another device knows nothing.
      if (this.#replacing) await this.#replacing;
      const device = this.#device;
      try {
        const result = await work(device.executor);
        this.#work++;
        return result;
      } catch (error) {
        const replaced = this.#device !== device;
        // Whoever waited for a device that another call has replaced hears that it was disposed.
        const disposed = replaced && error instanceof LimbeckError && error.code === "DISPOSED";
        if (!isLoss(error) && !disposed) throw error;
        if (replaced) continue;
        this.#replacing ??= this.#replace(error).finally(() => {
          this.#replacing = undefined;
        });
        await this.#replacing;
      }
    }
  }

  /** A GPU whose memory did not suffice takes no more work: another device is opened in its place. */
  async relieve(error: LimbeckError): Promise<void> {
    if (!this.canBeLost || error.code !== "OUT_OF_MEMORY") return;
    this.#replacing ??= this.#replace(error).finally(() => {
      this.#replacing = undefined;
    });
    await this.#replacing;
  }

  async #replace(error: unknown): Promise<void> {
    let lost = error;
    for (;;) {
      const asked = lost === error || (isTooLarge(lost) && this.lighten?.(lost));
      if (!this.canBeLost || !(isLoss(lost) || asked)) throw lost;
      // That it was asked for too much says nothing against a device.
      if (isLoss(lost)) this.#losses = this.#work >= this.every ? 1 : this.#losses + 1;
      this.#work = 0;
      const why = await this.#open(lost as LimbeckError);
      try {
        for (const [owner, weights] of this.#placed) placeWeights(this.executor, owner, weights);
        const steps = await this.revive?.(this.executor);
        this.tell(steps ? `${why}; ${steps} step${steps === 1 ? " was" : "s were"} taken again` : why);
        return;
      } catch (again) {
        this.tell(why);
        lost = again;
      }
    }
  }

  /** Another device in place of the lost one; returns what to tell. */
  async #open(lost: LimbeckError): Promise<string> {
    const { executor, again } = this.#device;
    executor.dispose();
    this.#lost.push(this.#device);
    const what = lost.message.replace(/\s+/g, " ").replace(/[. ]*$/, "");
    let why = again
      ? `this was loss ${this.#losses} without ${this.every} steps between`
      : "the device was given and cannot be opened again";
    while (again && this.#losses < LOSSES)
      try {
        this.#device = await again();
        return `${what}. Another device goes on: ${this.choice}`;
      } catch (refused) {
        why = `no other device was to be had (${refused instanceof Error ? refused.message : refused})`;
        // A driver that starts again needs a moment.
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        this.#losses++;
      }
    this.#device = await this.#instead();
    return `${what}. ${why}, so this goes on: ${this.choice}`;
  }

  dispose(): void {
    this.executor.dispose();
  }
}

/** What a model that was placed says. */
export class LastingPredictor {
  #predictor: Predictor | undefined;

  constructor(
    readonly device: LastingDevice,
    readonly placed: Placed,
  ) {}

  logits(batch: Batch): Promise<Float32Array> {
    return this.device.attempt((executor) => this.#on(executor).logits(batch));
  }

  maskedLogits(batch: Batch): Promise<Float32Array> {
    return this.device.attempt((executor) => this.#on(executor).maskedLogits(batch));
  }

  maskedLoss(batch: Batch): Promise<number> {
    return this.device.attempt((executor) => this.#on(executor).maskedLoss(batch));
  }

  relieve(error: LimbeckError): Promise<void> {
    return this.device.relieve(error);
  }

  #on(executor: Executor): Predictor {
    if (this.#predictor?.executor !== executor) this.#predictor = new Predictor(executor, this.placed);
    return this.#predictor;
  }
}

/** The micro-batches of an update, of at most so many sequences; with what the teachers' programs would write, where that is known already. */
export type Update = (size: number) => readonly {
  readonly batch: Batch;
  readonly taught?: () => Promise<readonly Given[]>;
}[];

interface Taken {
  readonly update: Update;
  readonly learningRate: number;
  readonly hyper: Hyper;
  /** Somebody waits for its metrics. */
  readonly wanted: boolean;
  result?: Promise<StepResult>;
  /** That it was skipped was told. */
  told?: true;
}

/** A Trainer whose steps are as if its device had never been lost. */
export class LastingTrainer {
  #size = 1;
  #shapesOf: (size: number) => Iterable<BatchShape> = () => [];
  readonly #shapes = new Map<string, BatchShape>();
  #trainer: Trainer | undefined;
  #snapshot: TrainerState | undefined;
  /** The steps since the snapshot. */
  #since: Taken[] = [];
  /** Up to the snapshot; where nothing can be lost, up to now. */
  #counts: StepCounts;

  constructor(
    readonly device: LastingDevice,
    readonly structure: StepStructure,
    readonly options: Trainer["options"] & { readonly maxBadSteps?: number },
    /** Where it begins, if not before the first step. */
    start?: TrainerState,
  ) {
    this.#snapshot = start;
    this.#counts = start?.steps ?? { taken: 0, skipped: 0, inRow: 0 };
    device.lighten = (error) => this.#lighten(error);
    device.revive = async (executor) => {
      const lost = this.#since.filter(({ result }) => result).length;
      await this.#advance(executor);
      // A GPU says later that its memory does not suffice: whoever comes next should not be taken for the cause.
      await executor.finished();
      return lost;
    };
  }

  /** Sequences at a time. */
  get size(): number {
    return this.#size;
  }

  /**
   * Every shape that micro-batches of at most so many sequences have, before the first step: memory that will not do is found now, and does
   * not grow later.
   */
  async prepare(size: number, shapes: (size: number) => Iterable<BatchShape>): Promise<void> {
    this.#shapesOf = shapes;
    this.#resize(size);
    await this.#fitting(() => this.#place());
  }

  #resize(size: number): void {
    this.#size = size;
    this.#shapes.clear();
    for (const shape of this.#shapesOf(size)) this.#shapes.set(JSON.stringify(shape), shape);
  }

  async #place(): Promise<void> {
    for (const shape of this.#shapes.values())
      await this.device.attempt(async (executor) => this.#on(executor).prepare(shape));
    // Whether all that is in its place a GPU says later than WASM.
    await this.device.attempt((executor) => executor.finished());
  }

  /** Where memory does not suffice for it, half as many sequences at a time may leave enough. */
  async #fitting<T>(work: () => Promise<T>): Promise<T> {
    let refused: LimbeckError | undefined;
    for (;;)
      try {
        if (refused) {
          await this.device.relieve(refused);
          await this.#place();
        }
        return await work();
      } catch (error) {
        if (!isTooLarge(error) || !this.#lighten(error)) throw error;
        refused = error;
      }
  }

  #lighten(error: LimbeckError): boolean {
    if (this.#size === 1) return false;
    const half = Math.ceil(this.#size / 2);
    const text = `${this.#size} sequences are too many at a time (${error.message})`;
    this.device.tell(`${text} The same updates are made of ${half} at a time`);
    this.#trainer?.forget();
    this.#resize(half);
    return true;
  }

  /**
   * One update. Its metrics are read when they are wanted, those of the steps before with them; without a GPU at once. A step that was skipped
   * is told when they are read; one too many in a row is thrown then, and the weights are those before them.
   */
  async step(update: Update, learningRate: number, hyper: Hyper, wanted: boolean): Promise<StepResult | undefined> {
    const { device } = this;
    if (!device.canBeLost) {
      const trainer = this.#on(device.executor);
      [this.#snapshot, this.#since] = [undefined, []];
      const { batches, taught } = await this.#parts(update);
      const result = await trainer.step(batches, learningRate, hyper, false, taught);
      this.#counts = this.#counted(this.#counts, result);
      this.#require(this.#counts, result);
      return result;
    }
    const taken: Taken = { update, learningRate, hyper, wanted };
    this.#since.push(taken);
    await this.#fitting(() => device.attempt((executor) => this.#advance(executor)));
    if (wanted) await this.#fitting(() => device.attempt(() => this.#settled()));
    if (this.#since.length >= device.every) await this.#keep();
    return wanted ? taken.result : undefined;
  }

  /** As the trainer's, after all steps that were asked for. */
  loss(batch: Batch, hyper: Hyper): Promise<number> {
    return this.device.attempt((executor) => this.#on(executor).loss(batch, hyper));
  }

  relieve(error: LimbeckError): Promise<void> {
    return this.device.relieve(error);
  }

  /** Everything from which the next step follows, after all those that were asked for; throws as `step` does. */
  async snapshot(): Promise<TrainerState> {
    const state = (executor: Executor) => this.#on(executor).snapshot();
    if (!this.device.canBeLost) return { ...(await this.device.attempt(state)), steps: this.#counts };
    await this.#keep();
    return this.#snapshot as TrainerState;
  }

  /** Waits for the metrics of all steps, wanted or not, and throws as `step` does. */
  async settle(): Promise<void> {
    if (!this.device.canBeLost || !this.#trainer) return;
    await this.#fitting(() =>
      this.device.attempt(async (executor) => {
        await this.#on(executor).settle();
        await this.#settled();
      }),
    );
  }

  /** The weights that the training came to; what only training needs is freed. */
  async finish(): Promise<Weights> {
    const { device, structure } = this;
    const { owner, config } = structure.student;
    const weights = await this.#fitting(() => device.attempt((executor) => readWeights(executor, owner, config)));
    device.keep(owner, weights);
    [device.revive, device.lighten] = [undefined, undefined];
    this.#trainer?.release();
    [this.#trainer, this.#snapshot, this.#since] = [undefined, undefined, []];
    return weights;
  }

  /** The trainer on this executor. */
  #on(executor: Executor): Trainer {
    return this.#trainer?.executor === executor ? this.#trainer : this.#back(executor);
  }

  /** A trainer that is where the snapshot was, or before the first step; all steps since then are still to be taken. */
  #back(executor: Executor): Trainer {
    let trainer = this.#trainer;
    if (trainer?.executor !== executor || !this.#snapshot) {
      this.device.placeAgain(this.structure.student.owner);
      trainer = new Trainer(executor, this.structure, this.options);
      try {
        for (const shape of this.#shapes.values()) trainer.prepare(shape);
      } catch (error) {
        trainer.release();
        throw error;
      }
    }
    if (this.#snapshot) trainer.restore(this.#snapshot);
    for (const taken of this.#since) taken.result = undefined;
    this.#trainer = trainer;
    return trainer;
  }

  /** Takes the steps that are still to be taken. */
  async #advance(executor: Executor): Promise<void> {
    const trainer = this.#on(executor);
    for (const taken of this.#since) {
      if (taken.result) continue;
      await trainer.turn();
      const { update, learningRate, hyper, wanted } = taken;
      const { batches, taught } = await this.#parts(update);
      taken.result = trainer.step(batches, learningRate, hyper, !wanted, taught);
      // Should the device be lost, nobody waits for this one.
      taken.result.catch(() => {});
      if (!this.device.canBeLost) await taken.result;
    }
  }

  async #parts(update: Update) {
    const parts = update(this.#size);
    const taught = await Promise.all(parts.map(({ taught }) => taught?.() ?? []));
    return { batches: parts.map(({ batch }) => batch), taught };
  }

  /** Waits for the metrics of all steps since the snapshot, and counts. */
  async #settled(): Promise<StepCounts> {
    let counts = this.#counts;
    for (const [i, taken] of this.#since.entries()) {
      const result = (await taken.result) as StepResult;
      counts = this.#counted(counts, result, taken);
      try {
        this.#require(counts, result);
      } catch (error) {
        await this.#rewind(i);
        throw error;
      }
    }
    return counts;
  }

  #counted({ taken, skipped, inRow }: StepCounts, result: StepResult, once: { told?: true } = {}): StepCounts {
    if (!result.skipped) {
      if (skipped > 0) result.skippedSteps ??= skipped;
      return { taken: taken + 1, skipped, inRow: 0 };
    }
    result.skippedSteps ??= skipped + 1;
    if (!once.told) this.device.tell(`step ${taken + 1} was skipped: ${nonfinite(result)}`);
    once.told = true;
    return { taken: taken + 1, skipped: skipped + 1, inRow: inRow + 1 };
  }

  #require({ taken, inRow }: StepCounts, result: StepResult): void {
    if (inRow < (this.options.maxBadSteps ?? MAX_BAD_STEPS)) return;
    const many = inRow === 1 ? `step ${taken}` : `the last of ${inRow} steps in a row, step ${taken},`;
    const half = result.lossScale === undefined ? "" : ", or leave out --fp16";
    throw new NonfiniteError(
      "NONFINITE_LOSS",
      `${many} came to nothing: ${nonfinite(result)}; the weights before are kept. Use a smaller --learning-rate${half}.`,
    );
  }

  /** Undoes step i of those since the snapshot, whose update was refused, and the later ones. */
  async #rewind(i: number): Promise<void> {
    const late = i + 1 < this.#since.length;
    this.#since = this.#since.slice(0, i);
    if (!late) return;
    await this.device.attempt(async (executor) => {
      this.#back(executor);
      await this.#advance(executor);
    });
  }

  async #keep(): Promise<void> {
    const first = !this.#snapshot;
    let [start, end] = [0, 0];
    const copy = async (executor: Executor) => {
      // These reads bring the metrics that came later, too.
      const trainer = this.#on(executor);
      start = performance.now();
      const snapshot = await trainer.snapshot();
      end = performance.now();
      const steps = await this.#settled();
      [this.#snapshot, this.#since, this.#counts] = [{ ...snapshot, steps }, [], steps];
    };
    await this.#fitting(() => this.device.attempt(copy));
    if (!first || !this.#snapshot) return;
    const cost = `${bytesOfState(this.#snapshot).toLocaleString("en")} bytes in ${Math.round(end - start)} ms`;
    this.device.tell(
      `every ${this.device.every} steps weights and moments are copied to the host, should the GPU be lost: ${cost}`,
    );
  }
}
