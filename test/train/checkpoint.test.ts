// A run that is killed at any instant and resumed ends with the very bytes of one that nothing disturbed. Killed here is at every operation of
// the disk, with and without loss of power; test/cli/kill.test.ts kills the real command.

import { beforeAll, describe, expect, test } from "vitest";
import { grammarTokenizer, writeReviews } from "../../src/cli/grammar.ts";
import { labelMaps } from "../../src/formats/config.ts";
import { type Files, memoryFiles } from "../../src/formats/files.ts";
import { parseSafetensors } from "../../src/formats/safetensors.ts";
import { Random } from "../../src/random.ts";
import { nodeFiles } from "../../src/runtimes/nodeFiles.ts";
import type { Runtime } from "../../src/runtimes/runtime.ts";
import { sha256 } from "../../src/sha256.ts";
import { distill } from "../../src/train/chain.ts";
import { readCheckpoint } from "../../src/train/checkpoint.ts";
import type { DistillOptions } from "../../src/train/distill.ts";
import { Run } from "../../src/train/handle.ts";
import { freshWeights, type Model } from "../../src/train/model.ts";
import { pretrain } from "../../src/train/pretrain.ts";
import type { TrainingResult } from "../../src/train/train.ts";
import { webgpu } from "../executors/each.ts";
import { here } from "../hosts/here.ts";
import { CrashDisk } from "./crashDisk.ts";
import { tinyConfig } from "./tiny.ts";

const tokenizer = grammarTokenizer();
const model = (layers: number, width: number, seed: number): Model => {
  const labels = labelMaps(["negative", "positive"]);
  const config = { ...tinyConfig(layers, width), vocab_size: tokenizer.vocabularySize, ...labels };
  return { name: `a ${layers}x${width}`, config, weights: freshWeights(config, seed), tokenizer, notes: [] };
};
const rows = (seed: number, count: number) => {
  const reviews = writeReviews(seed, "train", count);
  const tsv = `sentence\tlabel\n${reviews.map(({ text, label }) => `${text}\t${label}\n`).join("")}`;
  return {
    name: "rows.tsv",
    bytes: new TextEncoder().encode(tsv),
    text: reviews.map(({ text }) => `${text}\n`).join(""),
  };
};

/** Two stages, the first with matrices of its own; two batches an update; dropout. Updates: 3 and 4. */
const options = (more: Partial<DistillOptions> = {}): DistillOptions => ({
  ...{ teacher: model(2, 8, 1), student: model(1, 4, 2), recipe: "tinybert", train: rows(1, 12), eval: rows(2, 4) },
  ...{ stages: { intermediate: { epochs: 2, maxSteps: 3, batchSize: 3, gradientAccumulationSteps: 2 } } },
  ...{ epochs: 2, batchSize: 3, gradientAccumulationSteps: 2, learningRate: 1e-2, loggingSteps: 1, maxLength: 16 },
  ...{ device: "wasm", threads: 1, seed: 5, saveSteps: 2 },
  ...more,
});

let compiled: Promise<WebAssembly.Module>;
let started = 0;

/** A process of its own on this disk. */
function boot(disk?: CrashDisk): Runtime {
  const pid = ++started;
  compiled ??= here.runtime.compile("single");
  return {
    ...here.runtime,
    startThread: undefined,
    compile: () => compiled,
    processes: { own: async () => ({ host: "here", pid }), runs: async (id) => id.pid === started },
    folder: (path) => (disk ? nodeFiles(path, disk.disk) : here.runtime.folder(path)),
  };
}

const run = (disk: CrashDisk | undefined, more: Partial<DistillOptions> = {}) =>
  new Run(distill(boot(disk), options({ out: "/runs/out", ...more })));

/** The files of a folder but for times, by name. */
async function finished(files: Files): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const text = async (name: string) => new TextDecoder().decode(await files.read(name));
  for (const name of await files.list())
    found[name] =
      name === "limbeck.json"
        ? (await text(name)).replace(/"(seconds|millisecondsPerSentence)": [\d.e-]+| in \d+ ms/g, "")
        : name === "README.md"
          ? (await text(name)).replace(/[\d.]+ \|$/gm, "")
          : await sha256(await files.read(name));
  for (const name of await files.folders()) found[name] = "";
  return found;
}

const at = (disk: CrashDisk) => nodeFiles("/runs/out", disk.disk);
/** Updates behind which checkpoints are kept: none, every second, the last of each stage. */
const KEPT = [0, 2, 3, 5, 7];
const FINISHED = Number.POSITIVE_INFINITY;
const next = (step: number) => KEPT[KEPT.indexOf(step) + 1] ?? FINISHED;

interface Seen {
  /** The checkpoint behind which it began, and the last that it told of. */
  from: number;
  checkpoint: number;
  notes: string[];
  result?: TrainingResult;
}

/** A run with what it told; thrown, where it fails. */
async function followed(of: Run): Promise<Seen> {
  const seen: Seen = { from: 0, checkpoint: 0, notes: [] };
  try {
    for await (const event of of) {
      if (event.type === "checkpoint") seen.checkpoint = event.step;
      if (event.type !== "note") continue;
      seen.notes.push(event.text);
      seen.from = Number(/goes on behind .*checkpoint-(\d+)$/.exec(event.text)?.[1] ?? seen.from);
      if (event.text.endsWith("is finished: nothing is changed")) seen.from = FINISHED;
    }
    seen.result = await of.result;
    return seen;
  } catch (error) {
    throw Object.assign(seen, { error });
  }
}

/** What an undisturbed run ends with, and the operations of the disk in it. */
let undisturbed: Record<string, string>;
let operations: number;

const disks = new Random(1, "disks");
const newDisk = () => new CrashDisk((n) => disks.below(n));

beforeAll(async () => {
  const disk = newDisk();
  const folders: string[] = [];
  for await (const event of run(disk)) if (event.type === "checkpoint") folders.push(event.folder);
  expect(folders).toEqual([2, 3, 5, 7].map((step) => `/runs/out/checkpoint-${step}`));
  undisturbed = await finished(at(disk));
  operations = disk.operations;
  expect(disk.paths().filter((path) => /checkpoint|lock|partial|old/.test(path))).toEqual([]);
});

test("a process that is killed, with and without a loss of power, at whatever operation of the disk goes on to the same bytes [C1] [C2]", async () => {
  expect(operations).toBeGreaterThan(100);
  const begun = { killed: new Set<number>(), "without power": new Set<number>() };
  for (let k = 1; k <= operations; k++) {
    const first = newDisk();
    first.failAt = k;
    const { checkpoint: kept } = await followed(run(first)).catch((seen) => seen);
    // What survives a loss of power is a copy, and so the first.
    for (const how of ["without power", "killed"] as const) {
      const where = `operation ${k}, ${how}`;
      const disk = first.reboot(how === "without power");
      const { from, result } = await followed(run(disk, { resume: true }));
      expect(result?.complete).toBe(true);
      // What was told to be kept was kept, and at most one more.
      expect([kept, next(kept)], where).toContain(from);
      begun[how].add(from);
      expect(await finished(at(disk)), where).toEqual(undisturbed);
      expect(
        disk.paths().filter((path) => /\/\./.test(path)),
        where,
      ).toEqual([]);
    }
  }
  // It began at the beginning and behind each of the checkpoints.
  for (const from of Object.values(begun)) expect([...from].sort((a, b) => a - b)).toEqual([...KEPT, FINISHED]);
}, 600_000);

/** What a killed run leaves behind its checkpoint of update 5: those of 3 and 5. */
async function killed(): Promise<CrashDisk> {
  const disk = newDisk();
  const of = run(disk);
  for await (const event of of) if (event.type === "checkpoint" && event.step === 5) break;
  expect(await at(disk).folders()).toEqual(["checkpoint-3", "checkpoint-5"]);
  return disk;
}

describe("what is written", () => {
  test("is readable by others: weights under the names of the folder, moments and matrices beside them, JSON", async () => {
    const home = at(await killed()).sub("checkpoint-3");
    const tensors = async (name: string) => parseSafetensors(await home.read(name), name).tensors;
    const weights = await tensors("model.safetensors");
    expect([...weights.keys()].sort()).toEqual([...model(1, 4, 2).weights.keys()].sort());
    const beside = await tensors("optimizer.safetensors");
    // The stage that matches states trains no classifier, but matrices from width 4 to width 8.
    expect(beside.has("m/student/classifier.weight")).toBe(false);
    expect([...beside].find(([name]) => name.startsWith("project/"))?.[1].shape).toEqual([8, 4]);
    for (const name of beside.keys()) expect(name).toMatch(/^(project\/|[mv]\/(student|project)\/)/);
    const state = JSON.parse(new TextDecoder().decode(await home.read("trainer_state.json")));
    expect(state).toMatchObject({ step: 3, before: 0, stage: "intermediate", loop: { step: 3, epoch: 1, batch: 1 } });
    expect(state).toMatchObject({ microBatches: 6, numerics: "wasm", identity: { command: "distill" } });
  });

  test("goes when the run is complete, and stays where a number was given", async () => {
    const disk = newDisk();
    await run(disk, { saveTotalLimit: 1 }).result;
    expect(await at(disk).folders()).toEqual(["checkpoint-7"]);
    const before = await finished(at(disk));
    const again = await followed(run(disk, { resume: true }));
    expect(again.from).toBe(FINISHED);
    expect(again.result).toMatchObject({ complete: true, steps: 7, sha256: before["model.safetensors"] });
    expect(again.result?.judged.map(({ role }) => role)).toEqual(["teacher", "student"]);
    expect(await finished(at(disk))).toEqual(before);
  });

  test("comes at the end of each epoch unless steps are given, and where nothing is kept there is nothing", async () => {
    const steps: number[] = [];
    for await (const event of run(newDisk(), { saveSteps: undefined }))
      if (event.type === "checkpoint") steps.push(event.step);
    expect(steps).toEqual([2, 3, 5, 7]);
    for await (const event of new Run(distill(boot(), options()))) expect(event.type).not.toBe("checkpoint");
  });

  test("in memory, too", async () => {
    const out = memoryFiles(undefined, "student");
    const stop = new AbortController();
    for await (const event of run(undefined, { out, signal: stop.signal }))
      if (event.type === "checkpoint" && event.step === 3) stop.abort();
    expect(await out.folders()).toEqual(["checkpoint-2", "checkpoint-3"]);
    const { from, result } = await followed(run(undefined, { out, resume: true }));
    expect([from, result?.sha256]).toEqual([3, undisturbed["model.safetensors"]]);
    expect(await out.folders()).toEqual([]);
  });
});

test("a disk that takes few bytes at a time, and none when it is full: the checkpoint before stays, and the run can go on [C6]", async () => {
  const disk = newDisk();
  disk.most = 1000;
  const filled = await followed(
    (async function* () {
      const of = run(disk);
      for await (const event of of) {
        if (event.type === "checkpoint" && event.step === 3) disk.space = 40_000;
        yield event;
      }
      return of.result;
    })() as unknown as Run,
  ).catch((seen) => seen);
  expect(filled.error).toMatchObject({ code: "DISK_FULL" });
  expect(filled.checkpoint).toBe(3);
  expect(await at(disk).folders()).toEqual(["checkpoint-2", "checkpoint-3"]);
  disk.space = Number.POSITIVE_INFINITY;
  expect((await followed(run(disk, { resume: true }))).from).toBe(3);
  expect(await finished(at(disk))).toEqual(undisturbed);
});

test("the best by a metric: it stays beside the newest, becomes the model, and is known behind a checkpoint", async () => {
  // So large a rate that the loss soon rises.
  const best = { recipe: "kd", stages: undefined, epochs: 4, saveTotalLimit: 1, evalSteps: 1, learningRate: 0.3 };
  const by = { ...best, bestBy: "loss" as const };
  const disk = newDisk();
  const losses: number[] = [];
  const of = run(disk, by);
  for await (const event of of) if (event.type === "evaluation") losses.push(event.metrics.loss as number);
  const least = Math.min(...losses);
  const step = losses.indexOf(least) + 1;
  expect(step).toBeLessThan(losses.length);
  expect((await of.result).metrics?.loss).toBe(least);
  expect((await of.result).notes.at(-1)).toBe(`the model is that of step ${step}, the best by loss: ${least}`);
  expect(await at(disk).folders()).toEqual([`checkpoint-${step}`, `checkpoint-${losses.length}`].sort());
  const files = await finished(at(disk));
  expect(files["model.safetensors"]).toBe((await finished(at(disk).sub(`checkpoint-${step}`)))["model.safetensors"]);
  for (const stopAt of [step, losses.length - 1]) {
    const other = newDisk();
    const stop = new AbortController();
    for await (const event of run(other, { ...by, signal: stop.signal }))
      if (event.type === "evaluation" && event.step === stopAt) stop.abort();
    expect((await followed(run(other, { ...by, resume: true }))).from).toBe(stopAt);
    expect(await finished(at(other))).toEqual(files);
  }
  for (const wrong of [{ bestBy: "luck" as "loss" }, { eval: undefined }])
    await expect(run(newDisk(), { ...by, ...wrong }).result).rejects.toMatchObject({ code: "BEST_BY" });
});

test("where one alone is kept, there is a valid one whenever the power fails [C7]", async () => {
  const one = { recipe: "kd", stages: undefined, epochs: 1, saveSteps: 1, saveTotalLimit: 1, eval: undefined };
  const whole = newDisk();
  const kept: number[] = [];
  for await (const event of run(whole, one)) if (event.type === "checkpoint") kept.push(whole.operations);
  expect(await at(whole).folders()).toEqual(["checkpoint-2"]);
  expect(kept).toHaveLength(2);
  for (let k = kept[0] + 1; k <= kept[1] + 1; k++) {
    const first = newDisk();
    first.failAt = k;
    await followed(run(first, one)).catch((seen) => seen);
    const files = at(first.reboot(true));
    const valid = [];
    for (const name of await files.folders())
      if (name.startsWith("checkpoint"))
        await readCheckpoint(files.sub(name)).then(
          () => valid.push(name),
          () => {},
        );
    expect(valid.length, `operation ${k}`).toBeGreaterThan(0);
  }
}, 120_000);

describe("refused before anything is trained", () => {
  const refused = async (disk: CrashDisk, more: Partial<DistillOptions> = {}) => {
    const seen: string[] = [];
    const of = run(disk, more);
    const failure = await (async () => {
      for await (const event of of) seen.push(event.type);
    })().catch((error) => error);
    expect(seen.filter((type) => type !== "note")).toEqual([]);
    return failure;
  };
  test("a folder that cannot be written, new or with a run in it [C9]", async () => {
    for (const disk of [newDisk(), await killed()]) {
      disk.readOnly = true;
      const denied = {
        code: "PERMISSION_DENIED",
        message: expect.stringMatching(/^\/runs\/out.*: the system refuses/),
      };
      expect(await refused(disk, { resume: true })).toMatchObject(denied);
    }
  });

  test("a file in the folder's place, and one in its path [C9]", async () => {
    const disk = newDisk();
    await disk.disk.mkdir("/runs");
    await nodeFiles("/runs", disk.disk).write("out", new Uint8Array(1));
    for (const out of ["/runs/out", "/runs/out/deeper"])
      expect(await refused(disk, { out })).toMatchObject({ code: "NOT_A_FOLDER" });
  });

  test("a disk that would be full before the end [C6]", async () => {
    const disk = newDisk();
    disk.space = 60_000;
    expect(await refused(disk)).toMatchObject({
      ...{
        code: "DISK_FULL",
        message: expect.stringMatching(/^\/runs\/out: [\d,]+ bytes are free, and the run writes up to [\d,]+: 3/),
      },
    });
    disk.space = 120_000;
    const { error, checkpoint } = await followed(run(disk, { saveTotalLimit: 1, maxSteps: 2 })).catch((seen) => seen);
    expect([error, checkpoint]).toEqual([undefined, 5]);
  });
});

describe("a damaged checkpoint", () => {
  const damage = async (home: Files, name: string, how: (bytes: Uint8Array) => Uint8Array) =>
    home.write(name, how(await home.read(name)));
  const flipped = (where: number) => (bytes: Uint8Array) => {
    bytes[Math.floor(where * bytes.length)] ^= 1;
    return bytes;
  };

  test.each<[string, string, RegExp, (bytes: Uint8Array) => Uint8Array]>([
    ["a flipped bit of the weights", "model.safetensors", /model\.safetensors: its SHA-256 is not that/, flipped(0.9)],
    ["a flipped bit of the moments", "optimizer.safetensors", /optimizer\.safetensors: its SHA-256/, flipped(0.3)],
    ["a flipped bit of the state", "trainer_state.json", /trainer_state\.json: its SHA-256/, flipped(0.5)],
    [
      "a file cut short",
      "optimizer.safetensors",
      /it has 100 bytes, expected [\d,]+/,
      (bytes) => bytes.subarray(0, 100),
    ],
    ["an empty manifest", "manifest.json", /manifest\.json/, () => new Uint8Array()],
    ["a manifest of something else", "manifest.json", /manifest\.json: format/, () => new TextEncoder().encode("{}")],
  ])("%s is named, and the one before is used [C5]", async (_, name, said, how) => {
    const disk = await killed();
    await damage(at(disk).sub("checkpoint-5"), name, how);
    const { from, notes } = await followed(run(disk, { resume: true }));
    expect(from).toBe(3);
    expect(notes[0]).toMatch(/^checkpoint-5 is damaged, the one before is used/);
    expect(notes[0]).toMatch(said);
    expect(await finished(at(disk))).toEqual(undisturbed);
  });

  test("a file that is missing, and a folder that somebody made by hand [C4]", async () => {
    const disk = await killed();
    await at(disk).sub("checkpoint-5").remove("optimizer.safetensors");
    await at(disk)
      .sub("checkpoint-6")
      .create((draft) => draft.write("model.safetensors", new Uint8Array(8)));
    const { from, notes } = await followed(run(disk, { resume: true }));
    expect([from, notes.filter((text) => text.includes("is damaged")).length]).toEqual([3, 2]);
    expect(await finished(at(disk))).toEqual(undisturbed);
  });

  test("where none is valid the run starts from the beginning, and says so", async () => {
    const disk = await killed();
    for (const name of await at(disk).folders()) await damage(at(disk).sub(name), "trainer_state.json", flipped(0.2));
    const { from, notes } = await followed(run(disk, { resume: true }));
    expect(from).toBe(0);
    expect(notes).toContain("there is no valid checkpoint in /runs/out: the run starts from the beginning");
    expect(await finished(at(disk))).toEqual(undisturbed);
  });
});

describe("a signal", () => {
  test.each([1, 2, 3, 4, 5, 6])(
    "behind update %i: a checkpoint of it and a model; the run goes on to the same bytes [C3] [L2]",
    async (step) => {
      const disk = newDisk();
      const stop = new AbortController();
      let done = 0;
      let saved = 0;
      for await (const event of run(disk, { signal: stop.signal })) {
        if (event.type === "step" && ++done === step) stop.abort();
        if (event.type === "checkpoint") saved = event.step;
      }
      expect(saved).toBe(step);
      const record = JSON.parse(new TextDecoder().decode(await at(disk).read("limbeck.json")));
      expect(record).toMatchObject({ complete: false, steps: { done: step, planned: 7 } });
      expect((await followed(run(disk, { resume: true }))).from).toBe(step);
      expect(await finished(at(disk))).toEqual(undisturbed);
    },
  );
});

describe("other runs that are stopped and go on", () => {
  const text = { name: "text.txt", bytes: new TextEncoder().encode(rows(4, 10).text) };
  const kd = { recipe: "kd", stages: undefined, epochs: 2, saveSteps: 3 };
  const kinds: [string, readonly number[], () => (more: Partial<DistillOptions>) => Run][] = [
    [
      "masked-LM, judged before the first update too",
      [1, 2, 3, 4],
      () => (more) =>
        new Run(
          pretrain(boot(), {
            ...{ model: model(1, 4, 2), text, evalText: text, trainBody: true, device: "wasm", threads: 1 },
            ...{ batchSize: 4, epochs: 2, maxSteps: 5, maxLength: 16, loggingSteps: 1, ...more },
          }),
        ),
    ],
    [
      "a teacher whose words are kept in half precision",
      [1, 3],
      () => {
        const caches = new Map<unknown, Files>();
        return (more) => {
          const cache = caches.get(more.out) ?? memoryFiles(undefined, "cache");
          caches.set(more.out, cache);
          return run(undefined, { ...kd, cache, ...more });
        };
      },
    ],
    [
      "LAMB, judged after every update, reported after some",
      [1, 2, 3],
      () => (more) => run(undefined, { ...kd, optimizer: "lamb", evalSteps: 1, loggingSteps: 2, ...more }),
    ],
  ];
  const same = async (start: (more: Partial<DistillOptions>) => Run, steps: readonly number[]) => {
    const whole = memoryFiles(undefined, "student");
    await start({ out: whole }).result;
    const expected = await finished(whole);
    for (const step of steps) {
      const out = memoryFiles(undefined, "student");
      const stop = new AbortController();
      let made = 0;
      const seen = start({ out, signal: stop.signal, saveSteps: 1 });
      for await (const event of seen) if (event.type === "checkpoint" && ++made === step) stop.abort();
      expect((await seen.result).complete).toBe(false);
      const again = await followed(start({ out, resume: true }));
      expect(again.from).toBe(step);
      expect(await finished(out), `update ${step}`).toEqual(expected);
    }
  };
  test.each(kinds)("%s", async (_, steps, start) => same(start(), steps));

  test.skipIf(webgpu.missing)(`on ${webgpu.name}`, () =>
    same((more) => run(undefined, { ...kd, eval: undefined, device: "webgpu", ...more }), [2]),
  );
});

describe("what has changed", () => {
  const changes: [string, Partial<DistillOptions>, RegExp][] = [
    ["data", { train: rows(3, 12) }, /data\.train: [0-9a-f]{12}… → [0-9a-f]{12}…/],
    ["teacher", { teacher: model(2, 8, 9) }, /\n {2}teachers\.0\.weights: [0-9a-f]{12}… → [0-9a-f]{12}…\n/],
    ["student", { student: model(1, 4, 9) }, /student\.weights: /],
    ["recipe", { recipe: "kd", stages: undefined }, /recipe\.name: "tinybert" → "kd"/],
    ["options", { learningRate: 2e-2, seed: 6 }, /stages\.prediction\.learningRate: 0\.01 → 0\.02/],
    ["length", { maxLength: 12 }, /stages\.prediction\.maxLength: 16 → 12/],
  ];
  test.each(changes)(
    "%s: refused with the list of differences, before anything is trained [C8]",
    async (_, more, said) => {
      const disk = await killed();
      const before = disk.paths();
      const { error } = await followed(run(disk, { resume: true, ...more })).catch((seen) => seen);
      expect(error).toMatchObject({ code: "RESUME_CHANGED" });
      expect(error.message).toMatch(said);
      expect(error.message).toContain("--force-resume");
      expect(disk.paths()).toEqual(before);
    },
  );

  test("goes on by force, which its record tells", async () => {
    const disk = await killed();
    const { from } = await followed(run(disk, { forceResume: true, learningRate: 2e-2 }));
    expect(from).toBe(5);
    const record = JSON.parse(new TextDecoder().decode(await at(disk).read("limbeck.json")));
    expect(record.notes).toContain(
      "resumed by force, though this changed: stages.prediction.learningRate: 0.01 → 0.02",
    );
    expect((await finished(at(disk)))["model.safetensors"]).not.toBe(undisturbed["model.safetensors"]);
  });

  test("another architecture cannot be forced", async () => {
    const { error } = await followed(run(await killed(), { forceResume: true, student: model(1, 8, 2) })).catch(
      (seen) => seen,
    );
    expect(error).toMatchObject({ code: "WEIGHTS_MISMATCH" });
    expect(error.message).toContain("checkpoint-5/model.safetensors");
  });

  test("a finished run whose checkpoints were kept goes on with more epochs", async () => {
    const disk = newDisk();
    await run(disk, { saveTotalLimit: 1 }).result;
    const longer = { resume: true, saveTotalLimit: 1, epochs: 3 };
    const { from, result, notes } = await followed(run(disk, longer));
    expect([from, result?.steps, result?.complete]).toEqual([7, 9, true]);
    expect(notes).toContain("the finished run goes on, and its schedule with it: stages.prediction.epochs: 2 → 3");
    expect(await at(disk).folders()).toEqual(["checkpoint-9"]);
    expect((await followed(run(disk, longer))).from).toBe(FINISHED);
    // Fewer are another run, and so is one with anything else.
    for (const more of [{ epochs: 2 }, { epochs: 4, seed: 6 }]) {
      const { error } = await followed(run(disk, { ...longer, ...more })).catch((seen) => seen);
      expect(error).toMatchObject({ code: "RESUME_CHANGED" });
    }
  });

  test("one whose checkpoints were not kept is not lengthened: its moments are gone", async () => {
    const disk = newDisk();
    await run(disk).result;
    const { error } = await followed(run(disk, { resume: true, epochs: 3 })).catch((seen) => seen);
    expect(error.message).toMatch(/is finished, and was another:\n {2}stages\.prediction\.epochs: 2 → 3/);
    expect(await finished(at(disk))).toEqual(undisturbed);
  });

  test("the version, the device: one is refused, the other told [C8] [N3]", async () => {
    const disk = await killed();
    const home = at(disk).sub("checkpoint-5");
    const state = JSON.parse(new TextDecoder().decode(await home.read("trainer_state.json")));
    const written = async (more: object) => {
      const bytes = new TextEncoder().encode(JSON.stringify({ ...state, ...more }));
      const manifest = JSON.parse(new TextDecoder().decode(await home.read("manifest.json")));
      manifest.files["trainer_state.json"] = { bytes: bytes.length, sha256: await sha256(bytes) };
      await home.write("trainer_state.json", bytes);
      await home.write("manifest.json", new TextEncoder().encode(JSON.stringify(manifest)));
    };
    await written({ identity: { ...state.identity, limbeck: "0.0.9" } });
    const { error } = await followed(run(disk, { resume: true })).catch((seen) => seen);
    expect(error.message).toMatch(/\n {2}limbeck: "0\.0\.9" → "/);
    await written({ numerics: "webgpu some adapter" });
    const { notes, from } = await followed(run(disk, { resume: true }));
    expect(from).toBe(5);
    expect(notes.join()).toMatch(/computed by webgpu some adapter: on wasm the run will not end with the bytes/);
  });
});

describe("a folder", () => {
  test("that exists is named with what can be done", async () => {
    const { error } = await followed(run(await killed())).catch((seen) => seen);
    expect(error).toMatchObject({ code: "OUTPUT_EXISTS" });
    expect(error.message).toMatch(/--overwrite.*--resume/);
  });

  test("is begun anew with overwrite", async () => {
    const disk = await killed();
    const { from } = await followed(run(disk, { overwrite: true }));
    expect(from).toBe(0);
    expect(await finished(at(disk))).toEqual(undisturbed);
  });

  test("of other things is neither resumed in nor replaced", async () => {
    const other = memoryFiles({ "thesis.txt": "years" }, "documents");
    await expect(run(undefined, { out: other, resume: true }).result).rejects.toMatchObject({ code: "OUTPUT_EXISTS" });
    await expect(run(undefined, { out: other, overwrite: true }).result).rejects.toMatchObject({
      code: "NOT_REPLACEABLE",
    });
    expect(await other.list()).toEqual(["thesis.txt"]);
    await expect(new Run(distill(boot(), options({ resume: true }))).result).rejects.toMatchObject({
      code: "RESUME_WHERE",
    });
  });

  test("in which nothing was kept is removed when the run fails", async () => {
    const disk = newDisk();
    const refused = run(disk, { device: "abacus" as "wasm" });
    await expect(refused.result).rejects.toMatchObject({ code: "DEVICE" });
    expect(disk.paths()).toEqual(["/runs"]);
  });
});

test("assistants: a chain goes on in the link in which it was killed", async () => {
  const chain = { recipe: "kd", stages: undefined, assistant: "bert:2x4x2", student: "bert:1x4x2" };
  const whole = newDisk();
  await run(whole, chain).result;
  const disk = newDisk();
  const of = run(disk, chain);
  for await (const event of of) if (event.type === "checkpoint") break;
  expect(await nodeFiles("/runs/out-assistant-1", disk.disk).folders()).toEqual(["checkpoint-2"]);
  expect((await followed(run(disk, { ...chain, resume: true }))).notes[0]).toBe(
    "assistant 1: the run goes on behind /runs/out-assistant-1/checkpoint-2",
  );
  expect(await finished(at(disk))).toEqual(await finished(at(whole)));
  expect(disk.paths()).toEqual(whole.paths());
});
