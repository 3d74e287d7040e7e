// safetensors, read by the full rule set of the reference reader (huggingface/safetensors, safetensors/src/tensor.rs)
// and written as the reference writer does: u64 little-endian header length, JSON header
// { name: { dtype, shape, data_offsets } }, then the data, each tensor starting where the last one ended.
import type { ErrorCode } from "../errorCodes.ts";
import { InputError, LimbeckError } from "../errors.ts";
import { decodeUtf8, formatCount, quote, refuseLfsPointer } from "./files.ts";
import { isObject, parseJson } from "./json.ts";

/** Bits of one element. */
const DTYPE_BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

export type Dtype = keyof typeof DTYPE_BITS;

/** A tensor as it lies in the file; `bytes` is a view. */
export interface RawTensor {
  dtype: Dtype;
  shape: number[];
  bytes: Uint8Array;
}

/** A tensor as limbeck computes with it. */
export interface Tensor {
  shape: number[];
  data: Float32Array;
}

/** A code without the prefix that all of them have. */
type Fault = ErrorCode extends infer C ? (C extends `SAFETENSORS_${infer F}` ? F : never) : never;

const MAX_HEADER = 100_000_000;

export function parseSafetensors(
  bytes: Uint8Array,
  file: string,
): { tensors: Map<string, RawTensor>; metadata: Map<string, string> } {
  const fail = (code: Fault, message: string, tensor?: string): never => {
    const where = tensor === undefined ? file : `${file}, tensor ${quote(tensor)}`;
    throw new InputError(`SAFETENSORS_${code}`, message, { where });
  };
  refuseLfsPointer(bytes, file);
  if (bytes.length < 8) {
    fail(
      "HEADER_TOO_SMALL",
      `expected at least 8 bytes, got ${bytes.length}: the download is incomplete; fetch it again.`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // BigInt: as a double, a length near 2^64 would be rounded.
  const declared = view.getBigUint64(0, true);
  if (declared > BigInt(MAX_HEADER)) {
    fail(
      "HEADER_TOO_LARGE",
      `the first 8 bytes give a header of ${formatCount(declared)} bytes and the limit is ${formatCount(MAX_HEADER)}: this is no safetensors file.`,
    );
  }
  const dataStart = 8 + Number(declared);
  if (dataStart > bytes.length) {
    fail(
      "INVALID_HEADER_LENGTH",
      `the header alone needs ${formatCount(dataStart)} bytes, got ${formatCount(bytes.length)}: the download is incomplete; fetch it again.`,
    );
  }

  const text = decodeUtf8(bytes.subarray(8, dataStart), `${file}, header`, "SAFETENSORS_INVALID_HEADER", true);
  const header = parseJson(text, {
    where: `${file}, header`,
    code: "SAFETENSORS_INVALID_HEADER_JSON",
    number: (token) => new Spelling(token),
  });
  if (!isObject(header)) {
    return fail("INVALID_HEADER_JSON", "the header is not a JSON object.");
  }

  const metadata = new Map<string, string>();
  const described = header.__metadata__ ?? {};
  if (!isObject(described)) fail("INVALID_METADATA", "__metadata__ is not an object of strings.");
  for (const [key, value] of Object.entries(described)) {
    if (typeof value !== "string") fail("INVALID_METADATA", `__metadata__ holds ${quote(key)}, which is not a string.`);
    metadata.set(key, value as string);
  }

  const entries: { name: string; dtype: Dtype; shape: number[]; start: number; end: number }[] = [];
  for (const [name, info] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    if (!isObject(info)) return fail("INVALID_TENSOR_INFO", "its entry is not an object.", name);
    const { dtype } = info;
    if (typeof dtype !== "string" || !Object.hasOwn(DTYPE_BITS, dtype)) {
      fail("UNKNOWN_DTYPE", `its dtype is ${quote(dtype)}, which the format does not have.`, name);
    }
    const integers = (field: string): number[] => {
      const list = info[field];
      if (!Array.isArray(list)) return fail("INVALID_TENSOR_INFO", `${field} is not a list.`, name);
      return list.map((item) => {
        const value = item instanceof Spelling ? item.integer() : undefined;
        if (value !== undefined) return value;
        const found = item instanceof Spelling ? item.token : quote(item);
        return fail("INVALID_INTEGER", `${field} holds ${found}; expected plain integers from 0 to 2^53 − 1.`, name);
      });
    };
    const shape = integers("shape");
    const offsets = integers("data_offsets");
    if (offsets.length !== 2) {
      fail("INVALID_TENSOR_INFO", `data_offsets has ${offsets.length} numbers, expected 2.`, name);
    }
    entries.push({ name, dtype: dtype as Dtype, shape, start: offsets[0], end: offsets[1] });
  }

  // Sorted, each must start where the last one ended: neither overlap nor hole can hide anything.
  entries.sort((a, b) => a.start - b.start || a.end - b.end);
  let covered = 0;
  for (const { name, dtype, shape, start, end } of entries) {
    if (start !== covered || end < start) {
      fail("INVALID_OFFSET", `its data is said to lie at [${start}, ${end}], expected to start at ${covered}.`, name);
    }
    covered = end;
    let bits: number = DTYPE_BITS[dtype];
    for (const extent of shape) {
      bits *= extent;
      if (!Number.isSafeInteger(bits)) fail("SIZE_OVERFLOW", `its shape [${shape}] has too many elements.`, name);
    }
    if (bits % 8 !== 0) fail("MISALIGNED_SLICE", `${dtype} [${shape}] does not fill whole bytes.`, name);
    if (end - start !== bits / 8) {
      fail(
        "WRONG_TENSOR_SIZE",
        `${dtype} [${shape}] takes ${bits / 8} bytes, its data_offsets span ${end - start}.`,
        name,
      );
    }
  }
  const total = dataStart + covered;
  if (total > bytes.length) {
    fail(
      "TRUNCATED",
      `expected ${formatCount(total)} bytes, got ${formatCount(bytes.length)}: the download is incomplete; fetch it again.`,
    );
  }
  if (total < bytes.length) {
    fail(
      "TRAILING_BYTES",
      `expected ${formatCount(total)} bytes, got ${formatCount(bytes.length)}: bytes follow the last tensor.`,
    );
  }

  const tensors = new Map<string, RawTensor>();
  for (const { name, dtype, shape, start, end } of entries)
    tensors.set(name, new TensorInFile(dtype, shape, bytes, dataStart + start, dataStart + end));
  return { tensors, metadata };
}

/** A view takes more memory than a header's entry; it is made when it is asked for. */
class TensorInFile implements RawTensor {
  readonly #file: Uint8Array;
  readonly #start: number;
  readonly #end: number;

  constructor(
    readonly dtype: Dtype,
    readonly shape: number[],
    file: Uint8Array,
    start: number,
    end: number,
  ) {
    this.#file = file;
    this.#start = start;
    this.#end = end;
  }

  get bytes(): Uint8Array {
    return this.#file.subarray(this.#start, this.#end);
  }
}

/** A number as spelled: 1.0, 1e3 and -0 are numbers to JavaScript, and none is an integer of this format. */
class Spelling {
  readonly token: string;

  constructor(token: string) {
    this.token = token;
  }

  integer(): number | undefined {
    const value = Number(this.token);
    return /^[0-9]+$/.test(this.token) && Number.isSafeInteger(value) ? value : undefined;
  }

  toJSON(): string {
    return this.token;
  }
}

/** F32 as a view where it is aligned, F16, BF16 and F64 converted; `where` names the tensor when others are refused. */
export function toFloat32(tensor: RawTensor, where: string): Float32Array {
  const { dtype, bytes } = tensor;
  if (!["F32", "F16", "BF16", "F64"].includes(dtype)) {
    throw new InputError(
      "UNSUPPORTED_DTYPE",
      `its dtype is ${dtype}; limbeck reads F32, F16, BF16 and F64. Save the model in float32.`,
      { where },
    );
  }
  const width = DTYPE_BITS[dtype] / 8;
  // The data of a file may start at any byte, and typed arrays only at multiples of their width.
  const aligned = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset } = aligned;
  const count = aligned.byteLength / width;
  if (dtype === "F32") return new Float32Array(buffer, byteOffset, count);
  if (dtype === "F64") return Float32Array.from(new Float64Array(buffer, byteOffset, count));
  const halves = new Uint16Array(buffer, byteOffset, count);
  const words = new Uint32Array(count);
  if (dtype === "BF16") for (let i = 0; i < count; i++) words[i] = halves[i] << 16;
  else for (let i = 0; i < count; i++) words[i] = widenF16(halves[i]);
  return new Float32Array(words.buffer);
}

/** The f32 bits of an IEEE 754 binary16. */
function widenF16(half: number): number {
  const sign = (half & 0x8000) << 16;
  let exponent = (half >> 10) & 0x1f;
  let fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent === 0) {
    if (fraction === 0) return sign;
    // Subnormal halves are normal in f32: shift until the leading one is implicit.
    for (exponent = 1; fraction < 0x400; exponent--) fraction <<= 1;
    fraction &= 0x3ff;
  }
  return sign | ((exponent + 112) << 23) | (fraction << 13);
}

/** To the nearest binary16, ties to even; what is too large for it becomes infinite. */
export function toFloat16(data: Float32Array): Uint16Array {
  const words = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const halves = new Uint16Array(data.length);
  for (let i = 0; i < halves.length; i++) halves[i] = narrowF16(words[i]);
  return halves;
}

/** A binary16 of f32 bits. */
function narrowF16(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  // A carry of the rounding runs into the exponent, as it should: up to infinity, or from subnormal to normal.
  if (magnitude >= 0x38800000) return sign | shiftRounded(magnitude - 0x38000000, 13);
  if (magnitude < 0x33000000) return sign;
  return sign | shiftRounded((magnitude & 0x7fffff) | 0x800000, 126 - (magnitude >>> 23));
}

const shiftRounded = (x: number, by: number) => (x + ((1 << (by - 1)) - 1) + ((x >>> by) & 1)) >>> by;

/** The whole file at once; equal tensors and metadata give equal bytes, in whatever order they come. */
export function serializeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Record<string, string> = { format: "pt" },
): Uint8Array {
  const chunks = [...safetensorsChunks(tensors, metadata)];
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** The same file piece by piece: the header, then a view of each tensor's data, never copied. */
export function* safetensorsChunks(
  tensors: ReadonlyMap<string, Tensor | RawTensor>,
  metadata: Record<string, string> = { format: "pt" },
): Generator<Uint8Array> {
  // The reference sorts by dtype, largest alignment first, then by name in UTF-8.
  const encoder = new TextEncoder();
  const sorted = [...tensors]
    .map(([name, tensor]) => ({ name, tensor: rawTensor(tensor), key: encoder.encode(name) }))
    .sort((a, b) => DTYPE_BITS[b.tensor.dtype] - DTYPE_BITS[a.tensor.dtype] || compareBytes(a.key, b.key));
  for (const { name, tensor } of sorted) {
    const count = tensor.shape.reduce((product, extent) => product * extent, 1);
    if (name === "__metadata__" || (count * DTYPE_BITS[tensor.dtype]) / 8 !== tensor.bytes.length) {
      throw new LimbeckError(
        "UNWRITABLE_TENSOR",
        `a tensor of shape [${tensor.shape}] with ${(8 * tensor.bytes.length) / DTYPE_BITS[tensor.dtype]} values cannot be written under this name.`,
        { where: name },
      );
    }
  }
  yield safetensorsHeader(
    sorted.map(({ name, tensor }) => ({ name, ...tensor })),
    metadata,
  );
  for (const { tensor } of sorted) yield tensor.bytes;
}

/** What stands in front of the data of these tensors, which follow in this order. */
export function safetensorsHeader(
  tensors: readonly (Pick<RawTensor, "dtype" | "shape"> & { name: string })[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const entries: string[] = [];
  const keys = Object.keys(metadata).sort();
  if (keys.length > 0) {
    const pairs = keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(metadata[key])}`);
    entries.push(`"__metadata__":{${pairs.join()}}`);
  }
  let offset = 0;
  for (const { name, dtype, shape } of tensors) {
    const end = offset + (shape.reduce((product, extent) => product * extent, 1) * DTYPE_BITS[dtype]) / 8;
    entries.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join()}],"data_offsets":[${offset},${end}]}`,
    );
    offset = end;
  }
  const json = new TextEncoder().encode(`{${entries.join()}}`);
  const padded = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(json, 8);
  return header;
}

function rawTensor(tensor: Tensor | RawTensor): RawTensor {
  if ("bytes" in tensor) return tensor;
  const { buffer, byteOffset, byteLength } = tensor.data;
  return { dtype: "F32", shape: tensor.shape, bytes: new Uint8Array(buffer, byteOffset, byteLength) };
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

/** The first value that is NaN or infinite, by its exponent bits; -1 when all are finite. */
export function firstNonfinite(data: Float32Array): number {
  const words = new Uint32Array(data.buffer, data.byteOffset, data.length);
  for (let i = 0; i < words.length; i++) if ((words[i] & 0x7f800000) === 0x7f800000) return i;
  return -1;
}
