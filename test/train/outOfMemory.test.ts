// Memory that does not suffice: the updates are made of fewer sequences at a time, or an error says how many bytes there are; and whatever was
// taken for what failed is given back.

import { afterEach, describe, expect, test, vi } from "vitest";
import { grammarTokenizer, writeReviews } from "../../src/cli/grammar.ts";
import { Allocator } from "../../src/executors/allocator.ts";
import { outOfMemory } from "../../src/executors/executor.ts";
import { WebgpuExecutor } from "../../src/executors/webgpu.ts";
import { labelMaps } from "../../src/formats/config.ts";
import { memoryFiles } from "../../src/formats/files.ts";
import { finetune } from "../../src/index.ts";
import type { FinetuneOptions } from "../../src/train/finetune.ts";
import { freshWeights, type Model } from "../../src/train/model.ts";
import { countingDevice } from "../executors/counting.ts";
import { wasm } from "../executors/each.ts";
import { bytesOf, tinyConfig, tinyRun } from "./tiny.ts";

afterEach(() => vi.restoreAllMocks());

/** Addresses in use, by their allocator; `mayTake` is asked before each allocation. */
function watched(mayTake: () => boolean): Map<Allocator, Set<number>> {
  const { allocate, free, replace } = Allocator.prototype;
  const living = new Map<Allocator, Set<number>>();
  vi.spyOn(Allocator.prototype, "allocate").mockImplementation(function (this: Allocator, bytes) {
    if (!mayTake()) throw outOfMemory(`${bytes} more bytes are needed`);
    const block = allocate.call(this, bytes);
    living.set(this, (living.get(this) ?? new Set()).add(block.at));
    return block;
  });
  vi.spyOn(Allocator.prototype, "replace").mockImplementation(function (this: Allocator, block, bytes) {
    try {
      return replace.call(this, block, bytes);
    } catch (error) {
      living.get(this)?.add(block.at);
      throw error;
    }
  });
  vi.spyOn(Allocator.prototype, "free").mockImplementation(function (this: Allocator, block) {
    living.get(this)?.delete(block.at);
    free.call(this, block);
  });
  return living;
}

/** The host gives no more than so many bytes to a WebAssembly memory. */
function limited(most: number): void {
  const { grow } = WebAssembly.Memory.prototype;
  vi.spyOn(WebAssembly.Memory.prototype, "grow").mockImplementation(function (this: WebAssembly.Memory, pages) {
    if (this.buffer.byteLength + pages * 65536 > most) throw new RangeError("no");
    return grow.call(this, pages);
  });
}

const tokenizer = grammarTokenizer();
const model = (dropout: number): Model => {
  const config = { ...tinyConfig(2, 64), vocab_size: tokenizer.vocabularySize, ...labelMaps(["negative", "positive"]) };
  const without = { hidden_dropout_prob: dropout, attention_probs_dropout_prob: dropout };
  const all = { ...config, ...without };
  return { name: "a model", config: all, weights: freshWeights(all, 1), tokenizer, notes: [] };
};
// Every fifth row has no label: the parts of an update differ in how many they have.
const rows = writeReviews(1, "train", 48).map(({ text, label }, i) => `${text}\t${i % 5 === 4 ? "" : label}\n`);
const train = { name: "rows.tsv", bytes: new TextEncoder().encode(`sentence\tlabel\n${rows.join("")}`) };

/** Four updates of 24 sequences in two epochs. */
const OPTIONS = {
  ...{ train, eval: train, batchSize: 24, epochs: 2, learningRate: 1e-3, loggingSteps: 1, maxLength: 32 },
  ...{ device: "wasm" as const, threads: 1 },
};

async function run(more: Partial<FinetuneOptions> = {}) {
  const events = [];
  const run = finetune({ ...OPTIONS, model: model(0), ...more });
  for await (const event of run) events.push(event);
  const steps = events.flatMap((event) => (event.type === "step" ? [event] : []));
  return {
    result: await run.result,
    steps: steps.map(({ loss, gradientNorm }) => ({ loss, gradientNorm })),
    bytes: Math.max(...steps.map(({ memoryBytes }) => memoryBytes)),
    notes: events.flatMap((event) => (event.type === "note" ? [event.text] : [])),
  };
}

const said =
  /^(\d+) sequences are too many at a time \(.*bytes are needed.*this host gives no more.* The same updates are made of (\d+) at a time$/;

describe("a training under WASM", () => {
  test("is made of fewer sequences at a time, and takes the same steps [G2]", async () => {
    const whole = await run();
    // Not for 24 at a time, but for what they are judged by, too.
    limited(whole.bytes - 200_000);
    const split = await run();
    const parts = split.notes.flatMap((text) => said.exec(text)?.slice(1, 3) ?? []);
    expect(parts.slice(0, 2)).toEqual(["24", "12"]);
    expect(split.bytes).toBeLessThanOrEqual(whole.bytes - 200_000);
    expect(split.steps).toHaveLength(4);
    split.steps.forEach(({ loss, gradientNorm }, i) => {
      // f32 sums in another order, through four updates.
      expect(Math.abs(loss - whole.steps[i].loss) / whole.steps[i].loss).toBeLessThan(1e-4);
      expect(Math.abs(gradientNorm - whole.steps[i].gradientNorm) / whole.steps[i].gradientNorm).toBeLessThan(1e-3);
    });
    // As --gradient-accumulation-steps makes them, bit for bit.
    vi.restoreAllMocks();
    const size = Number(parts.at(-1));
    const asked = await run({ batchSize: size, gradientAccumulationSteps: 24 / size });
    expect(split.steps).toEqual(asked.steps);
    expect(bytesOf(split.result.model.weights)).toBe(bytesOf(asked.result.model.weights));
  });

  test("goes on as it was begun, where there is more memory, too [G2]", async () => {
    const { bytes } = await run();
    limited(bytes - 200_000);
    const dropping = { model: model(0.1) };
    const expected = await run(dropping);
    const out = memoryFiles(undefined, "out");
    const stop = new AbortController();
    const first = finetune({ ...OPTIONS, ...dropping, out, saveSteps: 1, signal: stop.signal });
    for await (const event of first) if (event.type === "checkpoint" && event.step === 2) stop.abort();
    vi.restoreAllMocks();
    const { result } = await run({ ...dropping, out, resume: true });
    expect(result.steps).toBe(4);
    expect(bytesOf(result.model.weights)).toBe(bytesOf(expected.result.model.weights));
  });

  test("asks for nothing after its first step, and gives back what it had for larger parts [G2]", async () => {
    const dropping = { model: model(0.1), eval: undefined };
    const whole = await run(dropping);
    let stepped = false;
    let asked = 0;
    const refusing = watched(() => {
      if (stepped) asked++;
      return !stepped;
    });
    const events = finetune({ ...OPTIONS, ...dropping });
    for await (const { type } of events) stepped ||= type === "step";
    expect(bytesOf((await events.result).model.weights)).toBe(bytesOf(whole.result.model.weights));
    // What products would have taken to find their fastest tile.
    expect(asked).toBeLessThanOrEqual(1);
    vi.restoreAllMocks();

    const blocks = (living: ReturnType<typeof watched>) => [...living.values()].map((own) => own.size);
    limited(whole.bytes - 200_000);
    const living = watched(() => true);
    const split = await run(dropping);
    const size = Number(split.notes.flatMap((text) => said.exec(text)?.[2] ?? []).at(-1));
    const after = blocks(living);
    vi.restoreAllMocks();
    const alike = watched(() => true);
    await run({ ...dropping, batchSize: size, gradientAccumulationSteps: 24 / size });
    expect(after).toEqual(blocks(alike));
    expect(refusing.size).toBe(1);
  });

  test("that fits in no way ends with the bytes, and leaves no folder [G2]", async () => {
    limited(5 << 20);
    const out = memoryFiles(undefined, "out");
    await expect(run({ out, model: { ...model(0), ...wide() } })).rejects.toMatchObject({
      ...{
        code: "OUT_OF_MEMORY",
        message: expect.stringMatching(/^\d+ more bytes are needed, \d+ are in use, and this host/),
      },
    });
    expect(await out.exists()).toBe(false);
  });
});

/** Of 6 MB. */
function wide(): Pick<Model, "config" | "weights"> {
  const config = { ...model(0).config, intermediate_size: 12_000 };
  return { config, weights: freshWeights(config, 1) };
}

test("whichever allocation of a training fails, the executor is as it was before, and takes the same steps afterwards [G2]", async () => {
  let [count, failing] = [0, 0];
  const living = watched(() => ++count !== failing);
  const whole = await wasm(1).make();
  const expected = await tinyRun(whole, 2, 7);
  whole.dispose();
  const allocations = count;
  expect(allocations).toBeGreaterThan(50);
  let failures = 0;
  for (let k = 1; k <= allocations; k += 7) {
    [count, failing] = [0, k];
    const executor = await wasm(1).make();
    const { load } = executor;
    executor.load = (program) => {
      const before = new Map([...living].map(([allocator, blocks]) => [allocator, blocks.size]));
      try {
        return load.call(executor, program);
      } catch (error) {
        // What had been in the place of a value that had to grow may be gone as well.
        for (const [allocator, blocks] of living) expect(blocks.size).toBeLessThanOrEqual(before.get(allocator) ?? 0);
        throw error;
      }
    };
    await expect(tinyRun(executor, 2, 7)).rejects.toMatchObject({ code: "OUT_OF_MEMORY" });
    failures++;
    const { losses, weights } = await tinyRun(executor, 2, 7);
    expect(losses, `allocation ${k}`).toEqual(expected.losses);
    expect(bytesOf(weights)).toBe(bytesOf(expected.weights));
    executor.dispose();
  }
  expect(failures).toBeGreaterThan(7);
});

test("a GPU's error of this kind is told from others, with the bytes that were asked for [G2]", async () => {
  const { device } = countingDevice();
  let report: (event: object) => void = () => {};
  device.addEventListener = ((_: string, listener: typeof report) => {
    report = listener;
  }) as never;
  const executor = new WebgpuExecutor(device, { adapter: "a GPU" });
  executor.write({ name: "x", shape: [1000], dtype: "f32" }, new Float32Array(1000));
  class GPUOutOfMemoryError {
    readonly message = "buffer x";
  }
  report({ preventDefault() {}, error: new GPUOutOfMemoryError() });
  await expect(executor.finished()).rejects.toMatchObject({
    ...{
      code: "OUT_OF_MEMORY",
      message: expect.stringMatching(/^a GPU has no room for 40\d\d bytes in all \(buffer x\)/),
    },
  });
  executor.dispose();
});
