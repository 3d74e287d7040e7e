// What teachers say of the rows of a stage: computed once, kept in a folder, and handed to every step in place of the teachers' programs.
// The rows of a stage are the same in every epoch (copies that augmentation makes are made before it), so one pass over them is enough.
//   KEY of what is kept   weights and config.json of the teacher, token ids and segments of all rows (so: data, tokenizer, length,
//                         augmentation), limbeck's version, the executor (GPU, fp16) whose bits they are, and the precision
// A sequence of n tokens has D numbers of a feature of sequences, n·D of one of tokens, n·H·n of one of pairs (attention scores).
// In f32 the numbers are those that the program wrote: under WASM, whose rows do not depend on what else is in a batch, a run with the
// cache gives the very bytes of one without. f16 rounds each to 11 bits: a relative error of 2^-11 at most.

import { type Batch, type Encoded, makeBatch } from "../data/batch.ts";
import { LimbeckError } from "../errors.ts";
import type { Executor, Loaded } from "../executors/executor.ts";
import { formatCount, type OpenFile } from "../formats/files.ts";
import { ROWS } from "../models/features.ts";
import { masksTokens } from "../recipes/recipe.ts";
import { readsVocabulary } from "../recipes/vocabulary.ts";
import { sha256 } from "../sha256.ts";
import { VERSION } from "../version.ts";
import { breather } from "./breather.ts";
import type { CacheFolder, Chunk } from "./cacheFolder.ts";
import { inBatches } from "./evaluate.ts";
import { hashOfWeights, type Weights } from "./model.ts";
import { featureOf, featureProgram, type Placed, type StepStructure, stepPrograms } from "./programs.ts";
import type { LastingDevice } from "./recovery.ts";
import { type Given, shapeOf, writeBatch } from "./trainer.ts";

interface Kept {
  readonly placed: Placed;
  readonly path: string;
  readonly of: (typeof ROWS)[keyof typeof ROWS];
  /** D, or H of pairs. */
  readonly width: number;
  /** Row r has the numbers from starts[r] to starts[r + 1]. */
  readonly starts: Float64Array;
  readonly chunks: readonly Chunk[];
}

export interface TaughtRows {
  readonly device: LastingDevice;
  readonly structure: StepStructure;
  /** By their owner. */
  readonly weights: ReadonlyMap<string, Weights>;
  readonly rows: readonly Encoded[];
  /** Sequences that the stage will read, a row as often as it comes. */
  readonly reads: number;
  readonly signal?: AbortSignal;
}

const megabytes = (bytes: number) => `${formatCount(Math.ceil(bytes / 1e6))} MB`;
const skipped = (why: string) => `teacher cache: not used, since ${why}; the teacher runs in every step`;

/** Yields what to tell; undefined when the teachers must run in every step. */
export async function* openTaught(cache: CacheFolder, given: TaughtRows): AsyncGenerator<string, Taught | undefined> {
  const { structure, rows, reads } = given;
  if (structure.teachers.length > 0 && readsVocabulary(structure.stage)) {
    yield skipped(masksTokens(structure.stage) ? "the text is masked anew in every epoch" : "a vocabulary is not kept");
    return undefined;
  }
  const kept: Kept[] = [];
  const { features } = stepPrograms(structure, { sequences: 1, rows: 1, longest: 1 });
  const rowsHash = await hashOfRows(rows);
  for (const [i, placed] of structure.teachers.entries()) {
    const model = await hashOfWeights(given.weights.get(placed.owner) as Weights);
    const identity = {
      ...{ model, config: await sha256(JSON.stringify(placed.config)), data: rowsHash },
      ...{ limbeck: VERSION, executor: `${given.device.numerics}${placed.half ? ", fp16" : ""}` },
    };
    for (const [path, [, width]] of features[i]) {
      const of = ROWS[path.split(".")[0] as keyof typeof ROWS];
      const starts = new Float64Array(rows.length + 1);
      for (const [r, { ids }] of rows.entries()) starts[r + 1] = starts[r] + width * rowsOf(of, ids.length);
      kept.push({ placed, path, of, width, starts, chunks: await cache.chunks(path, starts, identity) });
    }
  }
  if (kept.length === 0) return undefined;

  const all = kept.flatMap(({ chunks }) => chunks);
  const bytes = all.reduce((sum, chunk) => sum + chunk.bytes, 0);
  const what = `${kept.map(({ path }) => path).join(", ")} of ${formatCount(rows.length)} rows (${megabytes(bytes)})`;
  if (bytes > cache.limit) {
    yield skipped(`${what} are more than the ${megabytes(cache.limit)} of --cache-size`);
    return undefined;
  }
  await cache.prepare();
  const missing = new Set<Chunk>();
  for (const chunk of all) {
    const state = await cache.state(chunk);
    if (state !== "there") missing.add(chunk);
    if (state === "stale") yield `teacher cache: ${chunk.name} is stale: not what its name says. It is computed again`;
  }
  if (missing.size > 0 && reads < rows.length) {
    yield skipped(`the stage reads ${formatCount(reads)} of ${formatCount(rows.length)} rows, less than an epoch`);
    return undefined;
  }
  const { removed } = await cache.reserve(all);
  if (removed > 0) yield `teacher cache: ${removed} older files made room, as --cache-size says`;
  if (missing.size === 0) yield `teacher cache: ${what} are in ${cache.files.folder}`;
  else {
    yield `teacher cache: ${what} go into ${cache.files.folder}`;
    const began = performance.now();
    if (!(await fill(cache, given, kept, missing))) return undefined;
    yield `teacher cache: filled in ${Math.round((performance.now() - began) / 1000)} s; the teacher does not run again`;
  }
  return new Taught(cache, kept, rows);
}

/** Numbers of a sequence of n tokens, in units of the width. */
const rowsOf = (of: Kept["of"], n: number) => (of === "sequence" ? 1 : of === "token" ? n : n * n);

export async function hashOfRows(rows: readonly Encoded[]): Promise<string> {
  const words = new Uint32Array(rows.reduce((sum, { ids }) => sum + 1 + 2 * ids.length, 0));
  let at = 0;
  for (const { ids, segments } of rows) {
    words[at++] = ids.length;
    words.set(ids, at);
    words.set(segments, at + ids.length);
    at += 2 * ids.length;
  }
  return sha256(new Uint8Array(words.buffer));
}

/** The chunk of a feature that has a row. */
function chunkOf({ chunks }: Kept, row: number): Chunk {
  let [low, high] = [0, chunks.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (chunks[middle].first <= row) low = middle;
    else high = middle - 1;
  }
  return chunks[low];
}

/** One pass over the rows of missing files; false when the signal ended it. What is written stays: another run goes on from there. */
async function fill(cache: CacheFolder, given: TaughtRows, kept: readonly Kept[], missing: ReadonlySet<Chunk>) {
  const { rows, device, structure } = given;
  const wanted = kept.filter(({ chunks }) => chunks.some((chunk) => missing.has(chunk)));
  const readers = new Map(
    structure.teachers.map((placed) => {
      const paths = wanted.filter((feature) => feature.placed === placed).map(({ path }) => path);
      return [placed, new FeatureReader(device, placed, paths)];
    }),
  );
  const buffers = new Map<Chunk, Float32Array>();
  const breathe = breather();
  let stopped = false;
  await inBatches(device, rows.length, async (first, size) => {
    stopped ||= given.signal?.aborted ?? false;
    if (stopped) return;
    const part = rows.slice(first, first + size);
    const now = wanted.filter((feature) => part.some((_, i) => missing.has(chunkOf(feature, first + i))));
    if (now.length === 0) return;
    const batch = makeBatch(part, { size });
    const outputs = new Map<Placed, ReadonlyMap<string, Float32Array>>();
    for (const placed of new Set(now.map((feature) => feature.placed)))
      outputs.set(placed, await (readers.get(placed) as FeatureReader).read(batch));
    for (const feature of now)
      for (const i of part.keys()) {
        const chunk = chunkOf(feature, first + i);
        if (!missing.has(chunk)) continue;
        const { starts } = feature;
        const buffer = buffers.get(chunk) ?? new Float32Array(starts[chunk.end] - starts[chunk.first]);
        buffers.set(chunk, buffer);
        const own = buffer.subarray(
          starts[first + i] - starts[chunk.first],
          starts[first + i + 1] - starts[chunk.first],
        );
        exchange(feature, batch, i, outputs.get(feature.placed)?.get(feature.path) as Float32Array, own, "take");
        if (first + i + 1 < chunk.end) continue;
        await cache.write(chunk, buffer);
        buffers.delete(chunk);
      }
    await breathe();
  });
  return !stopped;
}

/** Moves the numbers of sequence i between a feature of the batch and a row of their own. */
function exchange(
  { of, width }: Kept,
  batch: Batch,
  i: number,
  all: Float32Array,
  own: Float32Array,
  how: "take" | "put",
) {
  const move = (from: number, at: number, count: number) => {
    if (how === "take") own.set(all.subarray(from, from + count), at);
    else all.set(own.subarray(at, at + count), from);
  };
  const [start, end] = [batch.offsets[i], batch.offsets[i + 1]];
  const n = end - start;
  if (of === "sequence") move(i * width, 0, width);
  else if (of === "token") move(start * width, 0, n * width);
  else for (let r = 0; r < n * width; r++) move((start * width + r) * batch.longest, r * n, n);
}

/** A placed teacher's features, batch by batch, on whichever device there is. */
class FeatureReader {
  #executor: Executor | undefined;
  readonly #loaded = new Map<string, Loaded>();

  constructor(
    readonly device: LastingDevice,
    readonly placed: Placed,
    readonly paths: readonly string[],
  ) {}

  read(batch: Batch): Promise<ReadonlyMap<string, Float32Array>> {
    return this.device.attempt(async (executor) => {
      if (this.#executor !== executor) this.#loaded.clear();
      this.#executor = executor;
      const shape = shapeOf(batch);
      const key = JSON.stringify(shape);
      const loaded = this.#loaded.get(key) ?? executor.load(featureProgram(this.placed, this.paths, shape));
      this.#loaded.set(key, loaded);
      writeBatch(executor, batch, [loaded]);
      executor.run(loaded);
      const values = new Map(loaded.program.values.map((value) => [value.name, value]));
      const numbers = await Promise.all(
        this.paths.map((path) => {
          const { name, shape, dtype } = values.get(
            featureOf(this.placed.owner, path),
          ) as Loaded["program"]["values"][0];
          return executor.read({ name, shape, dtype });
        }),
      );
      return new Map(
        this.paths.map((path, i) => [
          path,
          numbers[i] instanceof Float32Array ? numbers[i] : Float32Array.from(numbers[i]),
        ]),
      );
    });
  }
}

export class Taught {
  readonly #open = new Map<Chunk, Promise<OpenFile>>();

  constructor(
    readonly cache: CacheFolder,
    readonly kept: readonly Kept[],
    readonly rows: readonly Encoded[],
  ) {}

  /** What the teachers' programs would write for a batch of these rows. */
  read(indices: ArrayLike<number>, batch: Batch): Promise<Given[]> {
    this.#check(indices, batch);
    return Promise.all(
      this.kept.map(async (feature): Promise<Given> => {
        const { placed, path, of, width, starts } = feature;
        const { sequences, rows, longest } = batch;
        const shape = of === "sequence" ? [sequences, width] : of === "token" ? [rows, width] : [rows, width, longest];
        const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
        await Promise.all(
          Array.from(indices, async (row, i) => {
            const chunk = chunkOf(feature, row);
            const [at, count] = [starts[row] - starts[chunk.first], starts[row + 1] - starts[row]];
            const own = await this.cache.numbers(this.#file(chunk), chunk, at, count);
            exchange(feature, batch, i, data, own, "put");
          }),
        );
        return [{ name: featureOf(placed.owner, path), shape, dtype: "f32" }, data];
      }),
    );
  }

  /** Tokens that are not those of the pass (masked anew in every epoch, say) would be taught what was said of others. */
  #check(indices: ArrayLike<number>, { ids, offsets }: Batch): void {
    for (let i = 0; i < indices.length; i++) {
      const own = this.rows[indices[i]].ids;
      let same = offsets[i + 1] - offsets[i] === own.length;
      for (let j = 0; same && j < own.length; j++) same = ids[offsets[i] + j] === own[j];
      if (!same)
        throw new LimbeckError(
          "CACHE_ROWS",
          `row ${indices[i]} has other tokens than those that the teacher cache is of`,
        );
    }
  }

  #file(chunk: Chunk): Promise<OpenFile> {
    const file = this.#open.get(chunk) ?? this.cache.files.open(chunk.name);
    this.#open.set(chunk, file);
    return file;
  }

  async close(): Promise<void> {
    for (const file of this.#open.values()) await (await file).close();
    this.#open.clear();
  }
}
