// A bounded folder of numbers that were dear to compute. Each file holds one feature of consecutive rows of a data set, row behind row:
//   KEY-FEATURE-FIRST.safetensors   one flat tensor; KEY is the SHA-256 of all that the numbers depend on, and the header says the same in
//                                   words. A file that is not of this header and this size, byte for byte, is stale and not read.
//   used.json                       KEY → when it was read last, in runs. What was not for the longest time goes first.

import { LimbeckError } from "../errors.ts";
import type { Files } from "../formats/files.ts";
import { decodeUtf8 } from "../formats/files.ts";
import { isObject, parseJson } from "../formats/json.ts";
import { firstNonfinite, safetensorsHeader, toFloat16, toFloat32 } from "../formats/safetensors.ts";
import { sha256 } from "../sha256.ts";

export type Precision = "f16" | "f32";

/** Bytes of one file at most, but for a row that is longer: so much of each feature is in memory while it is computed. */
const CHUNK = 8 << 20;
const USED = "used.json";
const NAME = /^([0-9a-f]{64})-[a-z]+(\.\d+)?-\d+\.safetensors$/;

/** One file: rows `first` to `end`, without the last. */
export interface Chunk {
  readonly key: string;
  readonly name: string;
  readonly feature: string;
  readonly first: number;
  readonly end: number;
  readonly header: Uint8Array;
  /** Of the file. */
  readonly bytes: number;
}

export class CacheFolder {
  readonly #width: number;

  constructor(
    readonly files: Files,
    /** Bytes that the files may take together. */
    readonly limit: number,
    readonly precision: Precision,
    readonly chunkBytes = CHUNK,
  ) {
    this.#width = precision === "f16" ? 2 : 4;
  }

  /** The files of a feature; row r has the numbers from starts[r] to starts[r + 1]. `identity` says what they depend on. */
  async chunks(feature: string, starts: Float64Array, identity: Readonly<Record<string, string>>): Promise<Chunk[]> {
    const known = { format: "limbeck teacher cache 1", precision: this.precision, ...identity };
    const key = await sha256(JSON.stringify(Object.entries(known).sort()));
    const chunks: Chunk[] = [];
    const rows = starts.length - 1;
    for (let first = 0; first < rows; ) {
      let end = first + 1;
      while (end < rows && (starts[end + 1] - starts[first]) * this.#width <= this.chunkBytes) end++;
      const shape = [starts[end] - starts[first]];
      const tensor = { name: feature, dtype: this.precision === "f16" ? ("F16" as const) : ("F32" as const), shape };
      const header = safetensorsHeader([tensor], { ...known, rows: `${first} to ${end - 1}` });
      const name = `${key}-${feature}-${first}.safetensors`;
      chunks.push({ key, name, feature, first, end, header, bytes: header.length + shape[0] * this.#width });
      first = end;
    }
    return chunks;
  }

  async prepare(): Promise<void> {
    if (!(await this.files.exists())) await this.files.create(async () => {});
  }

  async state({ name, header, bytes }: Chunk): Promise<"there" | "missing" | "stale"> {
    const size = await this.files.size(name);
    if (size === undefined) return "missing";
    if (size !== bytes) return "stale";
    const file = await this.files.open(name);
    try {
      const found = await file.read(0, header.length);
      return found.every((byte, i) => byte === header[i]) ? "there" : "stale";
    } finally {
      await file.close();
    }
  }

  /** Notes that these are used, and removes others until all of these have room. Files of other names are never touched. */
  async reserve(wanted: readonly Chunk[]): Promise<{ removed: number }> {
    const used = await this.#used();
    const now = 1 + Math.max(0, ...used.values());
    for (const { key } of wanted) used.set(key, now);
    const names = new Set(wanted.map(({ name }) => name));
    let total = wanted.reduce((sum, { bytes }) => sum + bytes, 0);
    const others: { name: string; bytes: number; used: number }[] = [];
    const keys = new Set(wanted.map(({ key }) => key));
    for (const name of await this.files.list()) {
      const key = NAME.exec(name)?.[1];
      if (key === undefined) continue;
      keys.add(key);
      if (names.has(name)) continue;
      const bytes = (await this.files.size(name)) ?? 0;
      others.push({ name, bytes, used: used.get(key) ?? 0 });
      total += bytes;
    }
    let removed = 0;
    for (const { name, bytes } of others.sort((a, b) => a.used - b.used)) {
      if (total <= this.limit) break;
      await this.files.remove(name);
      total -= bytes;
      removed++;
    }
    const kept = Object.fromEntries([...used].filter(([key]) => keys.has(key)));
    await this.files.write(USED, new TextEncoder().encode(`${JSON.stringify(kept)}\n`));
    return { removed };
  }

  async #used(): Promise<Map<string, number>> {
    if ((await this.files.size(USED)) === undefined) return new Map();
    const where = `${this.files.folder}/${USED}`;
    const json = parseJson(decodeUtf8(await this.files.read(USED), where, "NOT_UTF8"), { where });
    const entries = isObject(json) ? Object.entries(json) : [];
    return new Map(entries.filter((entry): entry is [string, number] => Number.isSafeInteger(entry[1])));
  }

  async write({ name, feature, header }: Chunk, values: Float32Array): Promise<void> {
    if (this.precision === "f32") return this.files.write(name, [header, bytesOf(values)]);
    const halves = toFloat16(values);
    const lost = firstNonfinite(toFloat32({ dtype: "F16", shape: [], bytes: bytesOf(halves) }, name));
    if (lost >= 0)
      throw new LimbeckError(
        "CACHE_RANGE",
        `${feature} has the number ${values[lost]}, and f16 ends at 65504; keep f32 (--cache-precision f32).`,
      );
    return this.files.write(name, [header, bytesOf(halves)]);
  }

  /** Numbers of an open file, counted from its first. */
  async numbers(
    file: Promise<{ read(at: number, length: number): Promise<Uint8Array> }>,
    chunk: Chunk,
    at: number,
    count: number,
  ) {
    const bytes = await (await file).read(chunk.header.length + at * this.#width, count * this.#width);
    return toFloat32({ dtype: this.precision === "f16" ? "F16" : "F32", shape: [count], bytes }, chunk.name);
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array) =>
  new Uint8Array(buffer, byteOffset, byteLength);
