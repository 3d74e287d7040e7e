// The teacher cache: equal bytes, no teacher after the first pass, staleness, bounds.

import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { type Encoded, makeBatch } from "../../src/data/batch.ts";
import { WasmExecutor } from "../../src/executors/wasm.ts";
import { type Files, memoryFiles } from "../../src/formats/files.ts";
import { parseSafetensors } from "../../src/formats/safetensors.ts";
import { type DistillOptions, distill, finetune } from "../../src/index.ts";
import { optimizerNamed } from "../../src/optim/index.ts";
import { Random } from "../../src/random.ts";
import type { Stage, Term } from "../../src/recipes/recipe.ts";
import { node } from "../../src/runtimes/node.ts";
import { nodeFiles } from "../../src/runtimes/nodeFiles.ts";
import { CacheFolder } from "../../src/train/cacheFolder.ts";
import { freshWeights, type Model } from "../../src/train/model.ts";
import { featureProgram } from "../../src/train/programs.ts";
import { LastingDevice } from "../../src/train/recovery.ts";
import { openDevice } from "../../src/train/session.ts";
import { openTaught, type Taught } from "../../src/train/taught.ts";
import { shapeOf, writeBatch } from "../../src/train/trainer.ts";
import { makeTiny, type Tiny } from "../cli/tiny.ts";
import { bytesOf, tinyConfig } from "./tiny.ts";

let tiny: Tiny;
let teacher: Model;
const path = (name: string) => join(tiny.folder, name);
beforeAll(async () => {
  tiny = await makeTiny();
  const given = { model: path("base"), train: path("train.tsv"), threads: 1, device: "wasm", maxSteps: 6 } as const;
  teacher = (await finetune({ ...given, batchSize: 8, learningRate: 1e-2 }).result).model;
});
afterAll(() => tiny?.remove());
afterEach(() => vi.restoreAllMocks());

/** Programs that ran on WASM, by name. */
function counting(): Map<string, number> {
  const counts = new Map<string, number>();
  const run = WasmExecutor.prototype.run;
  vi.spyOn(WasmExecutor.prototype, "run").mockImplementation(function (this: WasmExecutor, loaded) {
    counts.set(loaded.program.name, (counts.get(loaded.program.name) ?? 0) + 1);
    run.call(this, loaded);
  });
  return counts;
}

async function runOf(more: Partial<DistillOptions>) {
  const counts = counting();
  const given = {
    train: path("train.tsv"),
    batchSize: 8,
    epochs: 3,
    threads: 1,
    device: "wasm",
    loggingSteps: 1,
  } as const;
  const run = distill({ ...given, teacher, student: "layers:1", recipe: "kd", ...more });
  const losses: number[] = [];
  for await (const event of run) if (event.type === "step") losses.push(event.loss);
  const result = await run.result;
  vi.restoreAllMocks();
  const [inSteps, filling] = ["teacher0", "features of teacher0"].map((name) => counts.get(name) ?? 0);
  const notes = result.notes.filter((note) => note.startsWith("teacher cache"));
  return { losses, inSteps, filling, notes, bytes: bytesOf(result.model.weights), model: result.model };
}

describe("f32: the very bytes of a run without it", () => {
  test.each<[string, Partial<DistillOptions>]>([
    ["kd", {}],
    ["kd, two batches in an update", { gradientAccumulationSteps: 2 }],
    ["pkd-skip", { recipe: "pkd-skip", student: "layers:2", layerMap: [1] }],
    ["tinybert", { recipe: "tinybert", student: "bert:1x16x2", stages: { intermediate: { epochs: 2 } } }],
    [
      "minilm-v2",
      {
        recipe: "minilm-v2",
        student: "bert:1x16x2",
        relationHeads: 4,
        stages: { relations: { epochs: 2, maxSteps: 0 } },
      },
    ],
    ["kd by way of an assistant", { assistant: "bert:1x16x2", student: "bert:1x8x2" }],
    [
      "bilstm, with its copies of the texts",
      { recipe: "bilstm", student: "bilstm:4", nIter: 2, pos: false, epochs: 2 },
    ],
  ])("%s", async (_, options) => {
    const given = { text: path("train.tsv"), ...options };
    const without = await runOf(given);
    const cache = memoryFiles(undefined, "cache");
    const first = await runOf({ ...given, cache, cachePrecision: "f32" });
    expect(first.losses).toEqual(without.losses);
    expect(first.bytes).toBe(without.bytes);
    // One pass, however many epochs; nothing at all in another run.
    expect([without.inSteps > first.filling, first.inSteps, first.filling > 0]).toEqual([true, 0, true]);
    const second = await runOf({ ...given, cache, cachePrecision: "f32" });
    expect([second.inSteps, second.filling]).toEqual([0, 0]);
    expect(second.bytes).toBe(without.bytes);
    expect(second.notes.join()).toContain("are in cache");
  });

  test("on disk; another recipe reads what is there and computes the rest; two teachers have their own", async () => {
    const cache = path("cache");
    const kd = await runOf({ cache, cachePrecision: "f32" });
    expect(kd.filling).toBe(2);
    const names = await nodeFiles(cache).list();
    expect(names).toEqual([expect.stringMatching(/^[0-9a-f]{64}-logits-0\.safetensors$/), "used.json"]);
    const { tensors, metadata } = parseSafetensors(await nodeFiles(cache).read(names[0]), names[0]);
    expect(tensors.get("logits")).toMatchObject({ dtype: "F32", shape: [128] });
    expect(Object.fromEntries(metadata)).toMatchObject({ executor: "wasm", precision: "f32", rows: "0 to 63" });
    const pkd = { recipe: "pkd-skip", student: "layers:2", layerMap: [1] };
    expect((await runOf({ ...pkd, cache, cachePrecision: "f32" })).bytes).toBe((await runOf(pkd)).bytes);
    expect(await nodeFiles(cache).list()).toHaveLength(3);
    const other = { ...teacher, weights: freshWeights(teacher.config, 5) };
    const both = { teacher: [teacher, other] };
    expect((await runOf({ ...both, cache, cachePrecision: "f32" })).bytes).toBe((await runOf(both)).bytes);
    expect(await nodeFiles(cache).list()).toHaveLength(4);
  });
});

test("f16: half the bytes, numbers within its rounding", async () => {
  const without = await runOf({});
  const cache = memoryFiles(undefined, "cache");
  const { losses, notes } = await runOf({ cache });
  expect(losses).not.toEqual(without.losses);
  for (const [i, loss] of losses.entries()) expect(Math.abs(loss - without.losses[i])).toBeLessThan(2 ** -10);
  expect(notes[0]).toBe("teacher cache: logits of 64 rows (1 MB) go into cache");
  const [name] = await cache.list();
  expect(parseSafetensors(await cache.read(name), name).tensors.get("logits")?.bytes.length).toBe(2 * 2 * 64);
  const folder = new CacheFolder(cache, 1e6, "f16");
  const [chunk] = await folder.chunks("scores", Float64Array.of(0, 2), {});
  await expect(folder.write(chunk, Float32Array.of(1, -70000))).rejects.toThrow("scores has the number -70000");
});

describe("what it depends on", () => {
  test.each<[string, () => Partial<DistillOptions>]>([
    ["weights of the teacher", () => ({ teacher: { ...teacher, weights: freshWeights(teacher.config, 5) } })],
    [
      "its configuration",
      () => ({ teacher: { ...teacher, config: { ...teacher.config, layer_norm_eps: 1e-3 } as Model["config"] } }),
    ],
    ["the data", () => ({ train: path("dev.tsv") })],
    ["the length", () => ({ maxLength: 6 })],
    ["the precision", () => ({ cachePrecision: "f16" })],
  ])("%s", async (_, options) => {
    const cache = memoryFiles(undefined, "cache");
    await runOf({ cache, cachePrecision: "f32", epochs: 1 });
    const more = { cachePrecision: "f32" as const, epochs: 1, ...options() };
    const { filling, bytes } = await runOf({ cache, ...more });
    expect(filling).toBeGreaterThan(0);
    if (more.cachePrecision === "f32") expect(bytes).toBe((await runOf({ ...more, cachePrecision: undefined })).bytes);
    expect((await cache.list()).length).toBe(3);
  });

  test("not on the order of the epochs, nor on who learns", async () => {
    const cache = memoryFiles(undefined, "cache");
    await runOf({ cache });
    expect((await runOf({ cache, seed: 3, batchSize: 5, student: "bert:1x8x2" })).filling).toBe(0);
  });

  test.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ["cut", (bytes) => bytes.slice(0, -1)],
    ["of another teacher", (bytes) => bytes.map((byte, i) => (i === 60 ? byte + 1 : byte))],
  ])("a file that is %s is refused, and computed again", async (_, change) => {
    const cache = memoryFiles(undefined, "cache");
    const first = await runOf({ cache });
    const [name] = await cache.list();
    const whole = await cache.read(name);
    await cache.write(name, change(whole));
    const again = await runOf({ cache });
    expect(again.notes[0]).toBe(`teacher cache: ${name} is stale: not what its name says. It is computed again`);
    expect([again.filling, again.bytes]).toEqual([2, first.bytes]);
    expect(await cache.read(name)).toEqual(whole);
  });
});

describe("bounds", () => {
  test("what is too large is not kept, and said", async () => {
    const cache = memoryFiles(undefined, "cache");
    const { notes, inSteps, filling } = await runOf({ cache, cacheSize: 0.0005 });
    expect(notes).toEqual([
      expect.stringContaining("are more than the 1 MB of --cache-size; the teacher runs in every step"),
    ]);
    expect([inSteps, filling, await cache.exists()]).toEqual([24, 0, false]);
  });

  test("less than an epoch is not worth a pass, unless it is there", async () => {
    const cache = memoryFiles(undefined, "cache");
    const short = { cache, epochs: 1, maxSteps: 3 };
    const first = await runOf(short);
    expect([first.inSteps, first.notes[0]]).toEqual([
      3,
      expect.stringContaining("reads 24 of 64 rows, less than an epoch"),
    ]);
    await runOf({ cache });
    expect((await runOf(short)).inSteps).toBe(0);
  });

  test("what was not used for the longest time makes room; other files stay", async () => {
    const cache = memoryFiles({ "letter.txt": "keep me" }, "cache");
    const teachers = [1, 2, 3].map((seed) => ({ ...teacher, weights: freshWeights(teacher.config, seed) }));
    const one = { cache, epochs: 1 };
    for (const t of [0, 1, 0]) await runOf({ ...one, teacher: teachers[t] });
    // Two files of about 750 bytes each are there; a third finds no room.
    const names = (await cache.list()).filter((name) => name.endsWith("safetensors"));
    const size = (await cache.size(names[0])) as number;
    const third = await runOf({ ...one, teacher: teachers[2], cacheSize: (2.5 * size) / 1e6 });
    expect(third.notes).toContain("teacher cache: 1 older files made room, as --cache-size says");
    expect((await runOf({ ...one, teacher: teachers[0] })).filling).toBe(0);
    expect((await runOf({ ...one, teacher: teachers[1] })).filling).toBe(2);
    expect(await cache.list()).toContain("letter.txt");
  });

  test("options of a cache that is not there are refused", async () => {
    await expect(runOf({ cacheSize: 3 })).rejects.toMatchObject({ code: "NO_CACHE" });
    await expect(runOf({ cachePrecision: "f32" })).rejects.toMatchObject({ code: "NO_CACHE" });
  });
});

describe("every feature, in many small files", () => {
  const placed = { owner: "teacher0", config: tinyConfig(2) };
  const terms: Record<string, Term> = Object.fromEntries([
    ...(["hidden", "cls", "scores", "queries", "keys", "values"] as const).map((of) => [
      of,
      { loss: "mse", of, map: "uniform" },
    ]),
    ...(["embedding", "pooled", "logits"] as const).map((of) => [of, { loss: "mse", of }]),
  ]);
  const stage: Stage = { terms };
  const random = new Random(3, "rows");
  const rows: Encoded[] = Array.from({ length: 70 }, () => {
    const ids = Array.from({ length: 1 + random.below(30) }, () => random.below(50));
    return { ids, segments: ids.map(() => 0) };
  });

  async function open(files: Files, signal?: AbortSignal) {
    const device = new LastingDevice(await openDevice(node, { device: "wasm", threads: 1 }), () => Promise.reject());
    const weights = freshWeights(placed.config, 1);
    await device.place(placed.owner, weights);
    const student = { owner: "student", config: tinyConfig(2) };
    const structure = { student, teachers: [placed], stage, regression: false, optimizer: optimizerNamed("adamw") };
    const given = { device, structure, weights: new Map([[placed.owner, weights]]), rows, reads: 70, signal };
    const notes: string[] = [];
    const opening = openTaught(new CacheFolder(files, 1e9, "f32", 4000), given);
    for (;;) {
      const next = await opening.next();
      if (next.done) return { device, notes, taught: next.value as Taught };
      notes.push(next.value);
    }
  }

  test("what is read is what the program writes for any batch", async () => {
    const files = memoryFiles(undefined, "cache");
    const { device, taught } = await open(files);
    expect((await files.list()).length).toBeGreaterThan(100);
    const paths = taught.kept.map((kept) => kept.path);
    expect(paths).toHaveLength(15);
    for (const indices of [[3, 69, 12, 0], [41], [7, 7, 8]]) {
      const batch = makeBatch(
        indices.map((i) => rows[i]),
        { size: 4 },
      );
      const { executor } = device;
      const program = executor.load(featureProgram(placed, paths, shapeOf(batch)));
      writeBatch(executor, batch, [program]);
      executor.run(program);
      for (const [value, data] of await taught.read(indices, batch)) {
        const truth = await executor.read(value);
        const [path] = value.name.split("/").slice(-1);
        expect(data.length, path).toBe(truth.length);
        const width = value.shape[value.shape.length - 1];
        for (let s = 0; s < indices.length; s++)
          for (let row = batch.offsets[s]; row < batch.offsets[s + 1]; row++)
            if (path.startsWith("scores"))
              // Behind a row's own length nothing is read.
              for (let head = 0; head < value.shape[1]; head++) {
                const at = (row * value.shape[1] + head) * width;
                const length = batch.offsets[s + 1] - batch.offsets[s];
                expect(data.subarray(at, at + length), path).toEqual(truth.subarray(at, at + length));
              }
        if (!path.startsWith("scores")) {
          const real = value.shape[0] === batch.rows ? batch.tokens : indices.length;
          expect(data.subarray(0, real * width), path).toEqual(truth.subarray(0, real * width));
        }
      }
    }
    const masked = makeBatch([{ ...rows[3], ids: Array.from(rows[3].ids, (id, j) => (j === 0 ? 49 : id)) }], {
      size: 4,
    });
    expect(() => taught.read([3], masked)).toThrow("row 3 has other tokens");
    expect(() => taught.read([4], makeBatch([rows[3]], { size: 4 }))).toThrow("row 4 has other tokens");
    await taught.close();
    device.dispose();
  });

  test("a pass that was ended goes on where it was; a missing file alone is computed", async () => {
    const files = memoryFiles(undefined, "cache");
    const controller = new AbortController();
    const written: string[] = [];
    const write = async (...args: Parameters<Files["write"]>) => {
      await files.write(...args);
      if (args[0] !== "used.json") written.push(args[0]);
      if (written.length === 40) controller.abort();
    };
    const first = await open({ ...files, write }, controller.signal);
    expect(first.taught).toBeUndefined();
    first.device.dispose();
    const before = written.splice(0);
    expect(before.length).toBeGreaterThanOrEqual(40);
    const second = await open({ ...files, write });
    second.device.dispose();
    const whole = await files.list();
    expect([...before, ...written].sort()).toEqual(whole.filter((name) => name !== "used.json"));
    const counts = counting();
    const lost = whole.find((name) => name.includes("-hidden.1-")) as string;
    const bytes = await files.read(lost);
    await files.remove(lost);
    const third = await open(files);
    third.device.dispose();
    expect(await files.read(lost)).toEqual(bytes);
    expect(counts.get(`features of ${placed.owner}`)).toBeLessThanOrEqual(2);
  });
});
