// A device that is lost at any moment must not be seen in the numbers: every run here is compared with one that nothing disturbed.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeBatch } from "../../src/data/batch.ts";
import { LimbeckError } from "../../src/errors.ts";
import { type Executor, type Loaded, outOfMemory, type Persistent } from "../../src/executors/executor.ts";
import { WebgpuExecutor } from "../../src/executors/webgpu.ts";
import { labelMaps } from "../../src/formats/config.ts";
import { memoryFiles } from "../../src/formats/files.ts";
import { adamw } from "../../src/optim/adamw.ts";
import type { Program } from "../../src/program/program.ts";
import { recipes } from "../../src/recipes/index.ts";
import { CacheFolder } from "../../src/train/cacheFolder.ts";
import { predictAll } from "../../src/train/evaluate.ts";
import { freshWeights } from "../../src/train/model.ts";
import { TRAINING, type TrainingOptions } from "../../src/train/options.ts";
import { LastingDevice, LastingPredictor, LastingTrainer } from "../../src/train/recovery.ts";
import { trainingLoop } from "../../src/train/run.ts";
import type { Device } from "../../src/train/session.ts";
import type { TrainerState } from "../../src/train/state.ts";
import { openTaught, type Taught } from "../../src/train/taught.ts";
import { NonfiniteError } from "../../src/train/trainer.ts";
import { openAdapter, wasm, webgpu } from "../executors/each.ts";
import { here } from "../hosts/here.ts";
import { hashOf, tinyBatches, tinyConfig } from "./tiny.ts";

type Call = "load" | "write" | "run" | "read" | "finished";
/** The device is destroyed before the k-th call of this kind, counted over all devices of a run. */
type Breaks = Partial<Record<Call, readonly number[]>>;

const config = tinyConfig(1, 8);
const structure = {
  ...{ student: { owner: "student", config }, teachers: [{ owner: "teacher0", config }] },
  ...{ stage: recipes.kd.stages.task, regression: false, optimizer: adamw },
};
const [batch] = tinyBatches(1, 4, 5);
const rows = Array.from({ length: 8 }, (_, i) => ({
  ids: Array.from({ length: 3 + ((5 * i) % 9) }, (_, j) => (i * 13 + j * 5) % 50),
  segments: new Array(3 + ((5 * i) % 9)).fill(0),
  label: i % 2,
}));
const set = { rows, truncated: 0, regression: false };
const hyper = { temperature: 4, alpha: 0.7, beta: 0 };

/** How a device is lost, and what then comes of a read, is its host's; what becomes of the training is ours, the same on all. */
const ours = (here.remote ? () => {} : describe) as typeof describe;

/** Buffers that were made and not destroyed. */
const alive = new Set<GPUBuffer>();

interface Counts {
  readonly calls: Record<Call, number>;
  devices: number;
}

/** Opens a device that breaks when it is told to. */
type Open = (breaks: Breaks, counts: Counts) => Promise<Device>;

/** Counts the calls of an executor, and ruins its device before some of them. */
function breaking(executor: Executor, breaks: Breaks, counts: Counts, ruin: () => void): Executor {
  counts.devices++;
  for (const call of Object.keys(counts.calls) as Call[]) {
    const real = executor[call].bind(executor) as (...given: unknown[]) => unknown;
    Object.assign(executor, {
      [call]: (...given: unknown[]) => {
        counts.calls[call]++;
        if (breaks[call]?.includes(counts.calls[call])) ruin();
        return real(...given);
      },
    });
  }
  return executor;
}

const destroyed = (device: GPUDevice): void => device.destroy();

const onGpu =
  (ruin = destroyed): Open =>
  async (breaks, counts) => {
    const { adapter, keep } = await openAdapter();
    const device = await adapter.requestDevice();
    const create = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      const destroy = buffer.destroy.bind(buffer);
      alive.add(buffer);
      buffer.destroy = () => {
        alive.delete(buffer);
        return destroy();
      };
      return buffer;
    };
    const executor = breaking(new WebgpuExecutor(device, { keep }), breaks, counts, () => ruin(device));
    return { executor, threads: 1, choice: "a GPU", again: () => onGpu(ruin)(breaks, counts) };
  };

/**
 * WASM in the place of a GPU: it can be lost, and what is read later comes with what is read at once. So every call can be tried. Its memory
 * does for batches of `most` sequences; of larger ones it says later that it does not: once they are loaded or, if `from` is given, once so
 * many runs were asked for, of all devices.
 */
const pretending =
  (most: number, from = 0): Open =>
  async (breaks, counts) => {
    const executor = await wasm(1).make();
    const { load, write, run, read } = executor;
    let lost: LimbeckError | undefined;
    const large = new Set<Loaded>();
    let full = false;
    const owed = new Set<{ come(): void; fail(reason: unknown): void }>();
    const working = <A extends unknown[], R>(call: (...given: A) => R) => {
      return (...given: A): R => {
        if (lost) throw lost;
        return call.apply(executor, given);
      };
    };
    const answer = <T>(value: T, later: boolean) =>
      new Promise<T>((resolve, reject) => {
        if (lost) return reject(lost);
        owed.add({ come: () => resolve(value), fail: reject });
        const come = () => {
          if (full) return end(outOfMemory("what is no GPU has no room"));
          for (const one of owed) one.come();
          owed.clear();
        };
        if (!later) setTimeout(come, 0);
      });
    Object.assign(executor, {
      name: "webgpu",
      write: working(write),
      run: working((loaded: Loaded) => {
        full ||= large.has(loaded) && counts.calls.run >= from;
        run.call(executor, loaded);
      }),
      load: working((program: Program) => {
        const offsets = program.values.find(({ name }) => name === "batch/offsets");
        const loaded = load.call(executor, program);
        if (offsets && offsets.shape[0] > most + 1) large.add(loaded);
        full ||= from === 0 && large.has(loaded);
        return loaded;
      }),
      read: async (value: Persistent, later = false) => answer(lost ? [] : await read.call(executor, value), later),
      finished: () => answer(undefined, false),
    });
    const end = (failure: LimbeckError) => {
      lost ??= failure;
      for (const { fail } of owed) fail(lost);
      owed.clear();
    };
    const ruin = () => end(new LimbeckError("GPU_LOST", "what is no GPU was lost (destroyed)"));
    const again = () => pretending(most, from)(breaks, counts);
    return { executor: breaking(executor, breaks, counts, ruin), threads: 1, choice: "a GPU", again };
  };
const pretended = pretending(Number.POSITIVE_INFINITY);

const openWasm = async (): Promise<Device> => ({
  ...{ executor: await wasm(1).make(), threads: 1, choice: "WASM" },
});

interface Outcome extends Counts {
  /** Calls before the evaluation in the midst of the training. */
  readonly before: Record<Call, number>;
  readonly weights: string;
  /** What the loop reported, but for times. */
  readonly events: readonly object[];
  /** The teacher's before the training and the student's after it. */
  readonly logits: readonly string[];
  readonly notes: readonly string[];
}

/** Seven steps, every second one reported, a snapshot every three, an evaluation after the fifth and at the end. */
async function trained(
  open: Open,
  breaks: Breaks = {},
  again?: () => Promise<Device>,
  cached = false,
  { dropout, ownLoss, ...more }: Partial<TrainingOptions> & { readonly dropout?: number; readonly ownLoss?: true } = {},
): Promise<Outcome> {
  const rates = dropout === undefined ? {} : { hidden_dropout_prob: dropout, attention_probs_dropout_prob: dropout };
  const own = { ...structure, student: { owner: "student", config: { ...config, ...rates } } };
  const counts: Counts = { calls: { load: 0, write: 0, run: 0, read: 0, finished: 0 }, devices: 0 };
  const first = await open(breaks, counts);
  const device = new LastingDevice(again ? { ...first, again } : first, openWasm, 3);
  try {
    await device.place("teacher0", freshWeights(config, 1));
    await device.place("student", freshWeights(config, 2));
    const teacher = new LastingPredictor(device, structure.teachers[0]);
    const student = new LastingPredictor(device, structure.student);
    const logits = [await teacher.logits(batch)];
    const taught = cached ? await filled(device) : undefined;
    const trainer = new LastingTrainer(device, own, { seed: 7, taught: cached });
    const options = {
      ...TRAINING,
      learningRate: 1e-2,
      batchSize: 4,
      epochs: 4,
      maxSteps: 7,
      loggingSteps: 2,
      evalSteps: 5,
      ...more,
    };
    const loop = trainingLoop({
      ...{ trainer, hyper, options, train: set, parameters: 0, taught },
      ...(ownLoss ? { evalText: set } : { eval: set, teacherLogits: await predictAll(teacher, set.rows) }),
    });
    const events: object[] = [];
    const notes: string[] = [];
    let before = counts.calls;
    for await (const event of loop) {
      if (event.type === "note") notes.push(event.text);
      if (event.type === "step" && event.step === 4) before = { ...counts.calls };
      if (event.type === "evaluation") events.push(event);
      if (event.type !== "step") continue;
      const { tokensPerSecond, secondsLeft, memoryBytes, ...lasting } = event;
      events.push(lasting);
    }
    const weights = await hashOf(await trainer.finish());
    logits.push(await student.logits(batch));
    notes.push(...device.notes());
    return { ...counts, before, weights, events, logits: logits.map((numbers) => numbers.join()), notes };
  } finally {
    device.dispose();
  }
}

/** A teacher cache of the rows, in memory. */
async function filled(device: LastingDevice): Promise<Taught | undefined> {
  const cache = new CacheFolder(memoryFiles(undefined, "cache"), 1e6, "f32");
  const weights = new Map([["teacher0", freshWeights(config, 1)]]);
  const opening = openTaught(cache, { device, structure, weights, rows, reads: 28 });
  for (;;) {
    const next = await opening.next();
    if (next.done) return next.value;
  }
}

const numbersOf = ({ weights, events, logits }: Outcome) => ({ weights, events, logits });

const another = /was lost \(destroyed\).* Another device goes on: a GPU/;

ours("a training whose device can be lost", () => {
  let undisturbed: Outcome;
  beforeAll(async () => {
    undisturbed = await trained(pretended);
  }, 60_000);

  test("undisturbed: events in their order, and the snapshot's cost is told", () => {
    expect(undisturbed.events).toMatchObject([
      ...[{ step: 2 }, { step: 4 }, { type: "evaluation", step: 5 }],
      ...[{ step: 6 }, { step: 7 }, { type: "evaluation", step: 7 }],
    ]);
    expect(undisturbed.devices).toBe(1);
    expect(undisturbed.notes).toEqual([expect.stringMatching(/^every 3 steps .* copied .*: [\d,]+ bytes in \d+ ms$/)]);
  });

  // Of writes and reads, which come in hundreds, those at some distance.
  test.each<[Call, number]>([
    ["load", 1],
    ["run", 1],
    ["finished", 1],
    ["write", 7],
    ["read", 5],
  ])(
    "lost before any call of %s (each %i.) ends with the bytes of one that was not [G1]",
    async (call, distance) => {
      expect(undisturbed.calls[call]).toBeGreaterThan(2 * distance);
      for (let k = 1; k <= undisturbed.calls[call]; k += distance) {
        const outcome = await trained(pretended, { [call]: [k] });
        expect(numbersOf(outcome), `call ${k}`).toEqual(numbersOf(undisturbed));
        expect(outcome.devices).toBe(2);
        expect(outcome.notes.filter((note) => another.test(note))).toHaveLength(1);
      }
    },
    300_000,
  );

  test("lost while the teacher cache is filled, or used", async () => {
    const cached = await trained(pretended, {}, undefined, true);
    expect(numbersOf(cached)).toEqual(numbersOf(undisturbed));
    expect(cached.calls.run).toBeLessThan(undisturbed.calls.run);
    for (let k = 2; k <= cached.calls.run; k += 3) {
      const outcome = await trained(pretended, { run: [k] }, undefined, true);
      expect(numbersOf(outcome), `call ${k}`).toEqual(numbersOf(undisturbed));
      expect(outcome.devices).toBe(2);
    }
  }, 60_000);

  test("judged by its own loss: lost at any run, or of too little memory for the evaluations [G1] [G2]", async () => {
    const judged = (open: Open, breaks: Breaks = {}, cached = false) =>
      trained(open, breaks, undefined, cached, { ownLoss: true });
    const whole = await judged(pretended);
    const losses = ({ events }: Outcome) =>
      (events as { type: string; step: number; metrics: { count: number; loss: number } }[])
        .filter(({ type }) => type === "evaluation")
        .map(({ step, metrics }) => [step, metrics.count, metrics.loss]);
    expect(losses(whole)).toEqual([0, 5, 7].map((step) => [step, 8, expect.any(Number)]));
    expect(whole.weights).toBe(undisturbed.weights);
    // What the teachers say of other rows is not in the cache.
    expect(numbersOf(await judged(pretended, {}, true))).toEqual(numbersOf(whole));
    for (let k = 1; k <= whole.calls.run; k += 3)
      expect(numbersOf(await judged(pretended, { run: [k] })), `run ${k}`).toEqual(numbersOf(whole));
    const parts = losses(await judged(pretending(4)));
    expect(parts.map(([step]) => step)).toEqual([0, 5, 7]);
    for (const [i, [, , loss]] of losses(whole).entries()) expect(parts[i][2]).toBeCloseTo(loss, 5);
  }, 120_000);

  test("lost where no other device is to be had goes on under WASM, and says why [G1]", async () => {
    const refused = () => Promise.reject(new Error("no adapter"));
    const outcome = await trained(pretended, { run: [undisturbed.before.run] }, refused);
    expect(numbersOf(outcome)).toEqual(numbersOf(undisturbed));
    expect(outcome.notes.at(-1)).toMatch(
      /no other device was to be had \(no adapter\), so this goes on: WASM; 1 step was taken again$/,
    );
  });

  test("lost thrice, but with three pieces of work between, keeps the GPU", async () => {
    const { run } = undisturbed.before;
    const outcome = await trained(pretended, { run: [2, run, undisturbed.calls.run] });
    expect(numbersOf(outcome)).toEqual(numbersOf(undisturbed));
    expect(outcome.devices).toBe(4);
  });

  test("of too little memory for a batch: the same updates are made of fewer sequences, evaluations too [G2]", async () => {
    const asked = await trained(pretended, {}, undefined, false, {
      ...{ batchSize: 4, gradientAccumulationSteps: 2, epochs: 8 },
    });
    const large = { batchSize: 8, epochs: 8 };
    const outcome = await trained(pretending(4), { run: [20] }, undefined, false, large);
    expect(numbersOf(outcome)).toEqual(numbersOf(asked));
    expect(outcome.notes).toContainEqual(
      expect.stringMatching(
        /^8 sequences are too many at a time \(what .* no room.*\) The same updates are made of 4 at a time$/,
      ),
    );
    expect(outcome.notes.filter((text) => text.includes("this was loss"))).toEqual([]);
    // Not even one sequence at a time.
    await expect(trained(pretending(0))).rejects.toMatchObject({ code: "OUT_OF_MEMORY" });
  }, 60_000);

  test("of too little memory from any run on: the updates since the snapshot are made of fewer sequences, and all later ones [G2]", async () => {
    const more = { batchSize: 8, epochs: 8 };
    const halves = { ...more, batchSize: 4, gradientAccumulationSteps: 2 };
    const run = (open: Open, how: typeof more & { dropout?: number }) => trained(open, {}, undefined, false, how);
    const [whole, asked, plain] = [
      await run(pretended, more),
      await run(pretended, halves),
      await run(pretended, { ...more, dropout: 0 }),
    ];
    const ends = new Set<string>();
    for (let k = 1; k <= whole.calls.run; k += 3) {
      const { weights, notes, events } = await run(pretending(4, k), more);
      ends.add(weights);
      expect(events, `run ${k}`).toHaveLength(whole.events.length);
      const told = notes.filter((text) => / at a time \(what .* The same updates .* of 4 at/.test(text));
      expect(told).toHaveLength(1);
      // Parts have dropout masks of their own; without them nothing else differs.
      if (k % 2 === 0) expect((await run(pretending(4, k), { ...more, dropout: 0 })).weights).toBe(plain.weights);
    }
    // Split from the beginning, or behind the snapshot after the third or the sixth step.
    expect(ends).toContain(asked.weights);
    expect(ends.size).toBe(3);
  }, 300_000);

  test("of too little memory while the teacher cache is filled: it is filled by fewer sequences, with the same bytes [G2]", async () => {
    const whole = await trained(pretended, {}, undefined, true);
    const outcome = await trained(pretending(4), {}, undefined, true);
    expect(numbersOf(outcome)).toEqual(numbersOf(whole));
    expect(outcome.devices).toBeGreaterThan(1);
  }, 60_000);

  test("two predictions at once, on a device that is lost under both, both come", async () => {
    const counts: Counts = { calls: { load: 0, write: 0, run: 0, read: 0, finished: 0 }, devices: 0 };
    const device = new LastingDevice(await pretended({ read: [2] }, counts), openWasm, 3);
    await device.place("student", freshWeights(config, 2));
    const predictor = new LastingPredictor(device, structure.student);
    const [first, second] = await Promise.all([predictor.logits(batch), predictor.logits(batch)]);
    expect(first).toEqual(second);
    expect(first).toEqual(await predictor.logits(batch));
    expect(counts.devices).toBe(2);
    device.dispose();
  });

  test("a number that is not finite is seen when metrics are read, and the weights are those before its step [N1]", async () => {
    const run = async (rates: readonly number[], wanted: number, every: number) => {
      const counts: Counts = { calls: { load: 0, write: 0, run: 0, read: 0, finished: 0 }, devices: 0 };
      const device = new LastingDevice(await pretended({}, counts), openWasm, every);
      await device.place("teacher0", freshWeights(config, 1));
      await device.place("student", freshWeights(config, 2));
      const trainer = new LastingTrainer(device, structure, { seed: 7, maxBadSteps: 1 });
      let failure: unknown;
      try {
        for (const [i, rate] of rates.entries()) await trainer.step(() => [{ batch }], rate, hyper, i === wanted);
        await trainer.settle();
      } catch (error) {
        failure = error;
      }
      const weights = await hashOf(await trainer.finish());
      device.dispose();
      return { failure, weights };
    };
    const good = await run([1e-3, 1e-3, 1e30], 2, 100);
    expect(good.failure).toBeUndefined();
    // Found when the sixth step is reported, from the start; by the snapshot after the fourth, from that after the second; at the end.
    for (const [wanted, every] of [
      [5, 100],
      [99, 2],
      [99, 100],
    ]) {
      const late = await run([1e-3, 1e-3, 1e30, 1e-3, 1e-3, 1e-3, 1e-3], wanted, every);
      expect(late.failure).toBeInstanceOf(NonfiniteError);
      expect(late.weights).toBe(good.weights);
    }
  });
});

describe.skipIf(webgpu.missing)(`a training on ${webgpu.name}`, () => {
  let undisturbed: Outcome;
  beforeAll(async () => {
    undisturbed = await trained(onGpu());
  }, 600_000);
  afterAll(() => {
    expect(alive.size).toBe(0);
  });

  const moments: [string, (whole: Outcome) => Breaks, number][] = [
    [
      "twice, while a snapshot is read and while steps are taken again",
      ({ before: { read, run } }) => ({ read: [read - 20], run: [run + 2] }),
      3,
    ],
    ["in the midst of a step", ({ before }) => ({ run: [before.run + 2] }), 2],
    ["in an evaluation", ({ before }) => ({ run: [before.run + 4] }), 2],
  ];
  test.each(here.remote ? moments.slice(0, 1) : moments)(
    "lost %s ends with the bytes of one that was not [G1]",
    async (_, breaks, devices) => {
      const outcome = await trained(onGpu(), breaks(undisturbed));
      expect(numbersOf(outcome)).toEqual(numbersOf(undisturbed));
      expect(outcome.devices).toBe(devices);
      expect(outcome.notes.filter((note) => another.test(note))).toHaveLength(devices - 1);
    },
  );

  test("after an error of the device that nobody caught, likewise", async () => {
    const ruin = (device: GPUDevice) => device.createBuffer({ size: 4, usage: 0xffff }).destroy();
    const outcome = await trained(onGpu(ruin), { run: [undisturbed.before.run + 2] });
    expect(numbersOf(outcome)).toEqual(numbersOf(undisturbed));
    expect(outcome.notes).toContainEqual(
      expect.stringMatching(/reported an error: .* Another device goes on: a GPU; \d steps? (was|were) taken again/),
    );
  });

  if (here.remote) return;
  test("lost thrice without three steps between goes on under WASM, and says so [G1]", async () => {
    const { run } = undisturbed.before;
    const outcome = await trained(onGpu(), { run: [run, run + 2, run + 4] });
    const losses = ({ events }: Outcome) => events.flatMap((event) => ("loss" in event ? [event.loss as number] : []));
    expect(losses(outcome)).toHaveLength(4);
    // f32 sums in another order, through seven updates.
    losses(outcome).forEach((loss, i) => {
      expect(Math.abs(loss - losses(undisturbed)[i]) / losses(undisturbed)[i]).toBeLessThan(1e-4);
    });
    expect(outcome.devices).toBe(3);
    expect(outcome.notes.at(-1)).toMatch(
      /this was loss 3 without 3 steps between, so this goes on: WASM; [12] steps? (was|were) taken again$/,
    );
  });
});

test("where nothing can be lost every step is read at once, and nothing is kept or told", async () => {
  const device = new LastingDevice(await openWasm(), openWasm, 3);
  await device.place("teacher0", freshWeights(config, 1));
  await device.place("student", freshWeights(config, 2));
  const trainer = new LastingTrainer(device, structure, { seed: 7, maxBadSteps: 1 });
  for (let i = 0; i < 4; i++) expect(await trainer.step(() => [{ batch }], 1e-3, hyper, false)).toBeDefined();
  await trainer.step(() => [{ batch }], 1e30, hyper, false);
  await expect(trainer.step(() => [{ batch }], 1e-3, hyper, false)).rejects.toThrow(NonfiniteError);
  expect(device.notes()).toEqual([expect.stringMatching(/^step 6 was skipped: /)]);
  device.dispose();
});

ours("steps that come to nothing", () => {
  const poison = { ids: [1, 2, 3], segments: [0, 0, 0], label: Number.NaN };
  /** A score that is no number in the batches of these steps; three in a row end the run. */
  const run = async (bad: readonly number[], open: () => Promise<Device>, from?: TrainerState) => {
    const device = new LastingDevice(await open(), openWasm, 4);
    const scored = { ...config, ...labelMaps(["LABEL_0"]) };
    const alone = { ...structure, student: { owner: "student", config: scored }, teachers: [], regression: true };
    const of = { ...alone, stage: recipes.hard.stages.task };
    await device.place("student", freshWeights(scored, 2));
    const trainer = new LastingTrainer(device, of, { seed: 7, maxBadSteps: 3 }, from);
    const batchOf = (label: number) => makeBatch([{ ...poison, label }], { size: 1, kind: "regression" });
    let failure: unknown;
    let state: TrainerState | undefined;
    const losses: (number | undefined)[] = [];
    try {
      for (let i = from?.steps?.taken ?? 0; i < 8; i++) {
        const label = bad.includes(i + 1) ? Number.NaN : i;
        losses.push((await trainer.step(() => [{ batch: batchOf(label) }], 1e-2, hyper, false))?.loss);
        if (i === 4) state = await trainer.snapshot();
      }
      await trainer.settle();
    } catch (error) {
      failure = error;
    }
    const notes = device.notes().filter((text) => text.includes("skipped"));
    const weights = await hashOf(await trainer.finish());
    device.dispose();
    return { failure, weights, notes, state, losses };
  };
  const lossy = () =>
    pretended({ run: [9] }, { calls: { load: 0, write: 0, run: 0, read: 0, finished: 0 }, devices: 0 });
  const lasting: [string, () => Promise<Device>][] = [
    ["seen at once", openWasm],
    ["seen late, on a device that is lost on the way", lossy],
  ];
  test.each(lasting)("%s: they are skipped and told, the others go on [N1]", async (_, open) => {
    const found = await run([2, 4, 5, 7], open);
    expect(found.failure).toBeUndefined();
    expect(found.notes).toEqual(
      [2, 4, 5, 7].map((step) => `step ${step} was skipped: the loss is NaN (hard NaN) and the gradient norm NaN`),
    );
    expect(found.state?.steps).toEqual({ taken: 5, skipped: 3, inRow: 2 });
    expect(found.weights).toBe((await run([2, 4, 5, 7], openWasm)).weights);
    expect(found.weights).not.toBe((await run([2, 4, 5], openWasm)).weights);
  });

  test("a device that is lost after a run went on behind a checkpoint takes nothing away [G1]", async () => {
    const whole = await run([2], openWasm);
    const counts = () => ({ calls: { load: 0, write: 0, run: 0, read: 0, finished: 0 }, devices: 0 });
    for (let k = 1; k <= 6; k++) {
      const again = await run([2], () => pretended({ run: [k] }, counts()), whole.state);
      expect(again.weights, `run ${k}`).toBe(whole.weights);
    }
  });

  test.each(lasting)(
    "%s: the third in a row ends the run, with the weights before them, behind a checkpoint too [N1]",
    async (_, open) => {
      const found = await run([2, 4, 5, 6], open);
      expect(found.failure).toBeInstanceOf(NonfiniteError);
      expect(String(found.failure)).toMatch(
        /the last of 3 steps in a row, step 6, came to nothing: the loss is NaN .*--learning-rate/,
      );
      expect(found.notes).toHaveLength(4);
      const again = await run([2, 4, 5, 6], open, found.state);
      expect(again.failure).toBeInstanceOf(NonfiniteError);
      expect(again.weights).toBe(found.weights);
      expect(again.notes).toEqual(found.notes.slice(3));
    },
  );
});
