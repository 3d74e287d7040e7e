import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LimbeckError } from "../../src/errors.ts";
import {
  firstNonfinite,
  parseSafetensors,
  type RawTensor,
  safetensorsChunks,
  serializeSafetensors,
  type Tensor,
  toFloat16,
  toFloat32,
} from "../../src/formats/safetensors.ts";

const FILE = "model.safetensors";

/** A file of this header, the length in front by default its own, and n zero bytes of data. */
function file(header: string | Uint8Array, data = 0, length?: bigint): Uint8Array {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length + data);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const entry = (name: string, dtype: string, shape: string, offsets: string) =>
  `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;
const one = (dtype: string, shape: string, offsets: string) => `{${entry("w", dtype, shape, offsets)}}`;

function refusal(bytes: Uint8Array): LimbeckError {
  try {
    parseSafetensors(bytes, FILE);
  } catch (error) {
    if (error instanceof LimbeckError) return error;
    throw error;
  }
  throw new Error("the file was accepted");
}

const LFS = `version https://git-lfs.github.com/spec/v1
oid sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
size 90868376
`;

describe("refused headers [M3]", () => {
  const big = "18446744073709551614";
  test.each<[string, Uint8Array, string, RegExp]>([
    ["empty file", new Uint8Array(0), "HEADER_TOO_SMALL", /at least 8 bytes, got 0: the download is incomplete/],
    ["7 bytes", new Uint8Array(7), "HEADER_TOO_SMALL", /got 7/],
    ["length 0", file(""), "INVALID_HEADER_JSON", /ends early/],
    ["length 1", file("{"), "INVALID_HEADER_JSON", /ends early/],
    ["length one beyond the limit", file("{}", 0, 100_000_001n), "HEADER_TOO_LARGE", /100,000,001/],
    ["length 2^32", file("{}", 0, 1n << 32n), "HEADER_TOO_LARGE", /4,294,967,296/],
    ["length 2^63", file("{}", 0, 1n << 63n), "HEADER_TOO_LARGE", /9,223,372,036,854,775,808/],
    ["length 2^64 − 1, not rounded", file("{}", 0, (1n << 64n) - 1n), "HEADER_TOO_LARGE", /551,615/],
    ["length beyond the file", file("{}", 0, 3n), "INVALID_HEADER_LENGTH", /needs 11 bytes, got 10/],
    ["invalid UTF-8", file(new Uint8Array([0x7b, 0xff, 0x7d])), "INVALID_HEADER", /not UTF-8 at byte 1/],
    ["a byte-order mark", file("\ufeff{}"), "INVALID_HEADER_JSON", /expected a value/],
    ["no JSON", file("hello"), "INVALID_HEADER_JSON", /found "h"/],
    ["a list", file("[]"), "INVALID_HEADER_JSON", /not a JSON object/],
    ["deep nesting", file(`{"w":${"[".repeat(100_000)}`), "INVALID_HEADER_JSON", /levels of nesting/],
    ["metadata of numbers", file('{"__metadata__":{"n":1}}'), "INVALID_METADATA", /"n", which is not a string/],
    ["metadata as a string", file('{"__metadata__":"pt"}'), "INVALID_METADATA", /not an object/],
    ["an entry that is no object", file('{"w":[]}'), "INVALID_TENSOR_INFO", /tensor "w": its entry/],
    ["no shape", file('{"w":{"dtype":"F32","data_offsets":[0,4]}}', 4), "INVALID_TENSOR_INFO", /shape is not a list/],
    ["no offsets", file('{"w":{"dtype":"F32","shape":[1]}}', 4), "INVALID_TENSOR_INFO", /data_offsets is not a list/],
    ["three offsets", file(one("F32", "[1]", "[0,4,4]"), 4), "INVALID_TENSOR_INFO", /3 numbers/],
    ["an unknown dtype", file(one("F128", "[1]", "[0,16]"), 16), "UNKNOWN_DTYPE", /"F128"/],
    ["dtype toString", file(one("toString", "[1]", "[0,4]"), 4), "UNKNOWN_DTYPE", /"toString"/],
    ["a negative extent", file(one("F32", "[-1]", "[0,4]"), 4), "INVALID_INTEGER", /shape holds -1/],
    ["extent 1.0", file(one("F32", "[1.0]", "[0,4]"), 4), "INVALID_INTEGER", /shape holds 1\.0/],
    ["extent 1e3", file(one("F32", "[1e3]", "[0,4000]"), 4000), "INVALID_INTEGER", /shape holds 1e3/],
    ["extent -0", file(one("F32", "[-0]", "[0,0]")), "INVALID_INTEGER", /shape holds -0/],
    ["extent as a string", file(one("F32", '["1"]', "[0,4]"), 4), "INVALID_INTEGER", /shape holds "1"/],
    ["offset 2^53 + 1", file(one("F32", "[1]", "[0,9007199254740993]"), 4), "INVALID_INTEGER", /9007199254740993/],
    ["extent 2^64 − 2, not rounded", file(one("F32", `[2,${big}]`, "[0,16]"), 16), "INVALID_INTEGER", /551614/],
    ["a shape that overflows", file(one("F32", "[4294967296,4294967296]", "[0,4]"), 4), "SIZE_OVERFLOW", /too many/],
    ["a size that overflows", file(one("F64", "[1125899906842624]", "[0,8]"), 8), "SIZE_OVERFLOW", /too many/],
    ["half a byte", file(one("F4", "[1]", "[0,1]"), 1), "MISALIGNED_SLICE", /whole bytes/],
    ["a size unlike its shape", file(one("F32", "[2]", "[0,4]"), 4), "WRONG_TENSOR_SIZE", /takes 8 bytes.*span 4/],
    ["a start after 0", file(one("F32", "[1]", "[4,8]"), 8), "INVALID_OFFSET", /expected to start at 0/],
    ["an end before the start", file(one("F32", "[1]", "[4,0]"), 4), "INVALID_OFFSET", /\[4, 0\]/],
    [
      "an overlap",
      file(`{${entry("a", "F32", "[2]", "[0,8]")},${entry("b", "F32", "[2]", "[4,12]")}}`, 12),
      "INVALID_OFFSET",
      /tensor "b".*start at 8/,
    ],
    [
      "the same bytes twice",
      file(`{${entry("a", "F32", "[1]", "[0,4]")},${entry("b", "F32", "[1]", "[0,4]")}}`, 4),
      "INVALID_OFFSET",
      /tensor "b"/,
    ],
    [
      "a hole",
      file(`{${entry("a", "F32", "[1]", "[0,4]")},${entry("b", "F32", "[1]", "[8,12]")}}`, 12),
      "INVALID_OFFSET",
      /start at 4/,
    ],
    ["a missing byte", file(one("F32", "[1]", "[0,4]"), 3), "TRUNCATED", /expected 66 bytes, got 65.*incomplete/],
    ["a trailing byte", file(one("F32", "[1]", "[0,4]"), 5), "TRAILING_BYTES", /expected 66 bytes, got 67/],
    ["data without tensors", file("{}", 1), "TRAILING_BYTES", /expected 10 bytes, got 11/],
  ])("%s", (_name, bytes, code, message) => {
    const error = refusal(bytes);
    expect(error.code).toBe(`SAFETENSORS_${code}`);
    expect(error.message).toMatch(message);
    expect(error.message.startsWith(FILE)).toBe(true);
  });

  test("duplicate names", () => {
    const twice = `{${entry("w", "F32", "[1]", "[0,4]")},${entry("w", "F32", "[1]", "[0,4]")}}`;
    expect(refusal(file(twice, 4))).toMatchObject({ code: "DUPLICATE_KEY" });
  });

  test("a git-LFS pointer is named with its size and the remedy [M2]", () => {
    const error = refusal(new TextEncoder().encode(LFS));
    expect(error.code).toBe("LFS_POINTER");
    expect(error.message).toMatch(/git-LFS pointer of 133 bytes, not the file of 90,868,376 bytes/);
    expect(error.message).toMatch(/sha256:53aa51172d14.*git lfs pull/);
  });
});

describe("accepted headers [M3]", () => {
  test("no tensors", () => {
    expect(parseSafetensors(file("{}"), FILE).tensors.size).toBe(0);
  });

  test("spaces before and after", () => {
    expect(parseSafetensors(file(` \n${one("F32", "[1]", "[0,4]")}  `, 4), FILE).tensors.size).toBe(1);
  });

  test("0-rank and 0-size tensors", () => {
    const header = `{${entry("scalar", "F32", "[]", "[0,4]")},${entry("none", "F32", "[2,0]", "[4,4]")}}`;
    const { tensors } = parseSafetensors(file(header, 4), FILE);
    expect(tensors.get("scalar")).toMatchObject({ shape: [], bytes: { length: 4 } });
    expect(tensors.get("none")).toMatchObject({ shape: [2, 0], bytes: { length: 0 } });
  });

  test("tensors called __proto__ and constructor, in any order", () => {
    const header = `{${entry("__proto__", "F32", "[1]", "[4,8]")},${entry("constructor", "F32", "[1]", "[0,4]")}}`;
    const { tensors } = parseSafetensors(file(header, 8), FILE);
    expect([...tensors.keys()]).toEqual(["constructor", "__proto__"]);
  });

  test("metadata of strings, or null", () => {
    expect([...parseSafetensors(file('{"__metadata__":{"format":"pt"}}'), FILE).metadata]).toEqual([["format", "pt"]]);
    expect(parseSafetensors(file('{"__metadata__":null}'), FILE).metadata.size).toBe(0);
  });

  test("100,000 tensors in linear time", () => {
    const entries = Array.from({ length: 100_000 }, (_, i) => entry(`layer.${i}`, "U8", "[1]", `[${i},${i + 1}]`));
    const bytes = file(`{${entries.join()}}`, 100_000);
    const start = performance.now();
    expect(parseSafetensors(bytes, FILE).tensors.size).toBe(100_000);
    expect(performance.now() - start).toBeLessThan(5000); // half a second on a quiet machine; minutes if quadratic
  });
});

describe("truncation", () => {
  const tensors = new Map(
    ["query", "key", "value"].map((name, i) => [name, { shape: [8, 8], data: new Float32Array(64).fill(i) }]),
  );
  const whole = serializeSafetensors(tensors);
  const cuts = Array.from({ length: Math.ceil(whole.length / 64) }, (_, i) => i * 64);

  test.each(cuts)("at byte %i [M1]", (cut) => {
    const error = refusal(whole.subarray(0, cut));
    expect(["HEADER_TOO_SMALL", "INVALID_HEADER_LENGTH", "TRUNCATED"]).toContain(
      error.code.replace("SAFETENSORS_", ""),
    );
    expect(error.message).toMatch(/the download is incomplete/);
    if (error.code === "SAFETENSORS_TRUNCATED") {
      expect(error.message.replaceAll(",", "")).toContain(`expected ${whole.length} bytes got ${cut}`);
    }
  });

  const folder = process.env.LIMBECK_DATA && join(process.env.LIMBECK_DATA, "truncated-minilm");
  test.skipIf(!folder || !existsSync(folder))("a real one, all-MiniLM-L6-v2 (needs LIMBECK_DATA) [M1]", async () => {
    const error = refusal(new Uint8Array(await readFile(join(folder!, FILE))));
    expect(error.code).toBe("SAFETENSORS_TRUNCATED");
    expect(error.message).toMatch(/expected 90,868,376 bytes, got 851,968/);
  });
});

test("random damage gives a typed error or a valid file, never anything else [F1]", () => {
  const tensors = new Map([["w", { shape: [3], data: Float32Array.of(1, 2, 3) }]]);
  const whole = serializeSafetensors(tensors);
  const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(damage, (edits) => {
      const bytes = whole.slice();
      for (const [at, value] of edits) bytes[at] = value;
      try {
        parseSafetensors(bytes, FILE);
      } catch (error) {
        expect(error).toBeInstanceOf(LimbeckError);
      }
    }),
    { numRuns: 2000 },
  );
});

describe("toFloat32", () => {
  const raw = (dtype: "F16" | "BF16" | "F64" | "F32", bytes: Uint8Array) =>
    toFloat32({ dtype, shape: [bytes.length / 2], bytes }, "w");
  const words = (...values: number[]) => new Uint8Array(Uint16Array.from(values).buffer);

  test.each([
    [0x0000, 0],
    [0x8000, -0],
    [0x3c00, 1],
    [0xc000, -2],
    [0x3555, 0.333251953125],
    [0x7bff, 65504],
    [0x0400, 0.00006103515625],
    [0x03ff, 0.00006097555160522461],
    [0x0001, 1 / 16777216],
    [0x8001, -1 / 16777216],
    [0x7c00, Number.POSITIVE_INFINITY],
    [0xfc00, Number.NEGATIVE_INFINITY],
    [0x7e00, Number.NaN],
  ])("F16 bits %i are %d", (bits, value) => {
    expect(raw("F16", words(bits))[0]).toBe(value);
  });

  test.each([
    [0x3f80, 1],
    [0xc049, -3.140625],
    [0x0001, 9.183549615799121e-41],
    [0x7f7f, 3.3895313892515355e38],
    [0x7f80, Number.POSITIVE_INFINITY],
    [0x7fc0, Number.NaN],
  ])("BF16 bits %i are %d", (bits, value) => {
    expect(raw("BF16", words(bits))[0]).toBe(value);
  });

  test("F16 values rise with their bits, over all that are finite", () => {
    const all = raw("F16", words(...Array.from({ length: 0x7c00 }, (_, bits) => bits)));
    expect(all.findIndex((value, i) => i > 0 && !(value > all[i - 1]))).toBe(-1);
  });

  test("toFloat16: every half comes back; between two halves the nearer, of ties the even; past the last infinity", () => {
    const bits = Array.from({ length: 0x7c01 }, (_, half) => half);
    const all = raw("F16", words(...bits));
    expect([...toFloat16(all)]).toEqual(bits);
    expect([...toFloat16(all.map((x) => -x))]).toEqual(bits.map((half) => half | 0x8000));
    const between = (share: number) => all.slice(0, -2).map((x, i) => x + share * (all[i + 1] - x));
    expect([...toFloat16(between(0.499))]).toEqual(bits.slice(0, -2));
    expect([...toFloat16(between(0.501))]).toEqual(bits.slice(1, -1));
    expect([...toFloat16(between(0.5))]).toEqual(bits.slice(0, -2).map((half) => half + (half & 1)));
    expect([...toFloat16(Float32Array.of(65519, 65520, 1e30, Number.NEGATIVE_INFINITY))]).toEqual([
      ...[0x7bff, 0x7c00, 0x7c00, 0xfc00],
    ]);
    expect(raw("F16", new Uint8Array(toFloat16(Float32Array.of(Number.NaN)).buffer))[0]).toBeNaN();
  });

  test("tensors of F16 are written as they are, behind wider ones", () => {
    const bytes = new Uint8Array(toFloat16(Float32Array.of(1, -2)).buffer);
    const tensors = new Map<string, RawTensor | Tensor>([
      ["a", { dtype: "F16", shape: [2], bytes }],
      ["b", { shape: [1], data: Float32Array.of(3) }],
    ]);
    const file = new Uint8Array(Buffer.concat([...safetensorsChunks(tensors)]));
    const read = parseSafetensors(file, FILE).tensors;
    expect([...read.keys()]).toEqual(["b", "a"]);
    expect([...toFloat32(read.get("a") as RawTensor, "a")]).toEqual([1, -2]);
    const wrong = safetensorsChunks(new Map([["a", { dtype: "F16", shape: [3], bytes }]]));
    expect(() => [...wrong]).toThrow("a tensor of shape [3] with 2 values");
  });

  test("F64 is rounded to the nearest f32, and overflow is visible", () => {
    const bytes = new Uint8Array(Float64Array.of(0.1, -1e300, 1).buffer);
    expect([...raw("F64", bytes)]).toEqual([Math.fround(0.1), Number.NEGATIVE_INFINITY, 1]);
  });

  test("misaligned data is copied, aligned F32 is not", () => {
    const source = new Uint8Array(17);
    source.set(new Uint8Array(Float32Array.of(1.5, -2.5, 3.5).buffer), 1);
    expect([...raw("F32", source.subarray(1, 13))]).toEqual([1.5, -2.5, 3.5]);
    expect(raw("F32", source.subarray(4, 12)).buffer).toBe(source.buffer);
  });

  test.each(["I64", "U8", "BOOL", "F8_E4M3"] as const)("%s is refused by the tensor's name [M4]", (dtype) => {
    const tensor = { dtype, shape: [0], bytes: new Uint8Array(0) };
    expect(() => toFloat32(tensor, 'm, tensor "w"')).toThrow(new RegExp(`^m, tensor "w": its dtype is ${dtype}`));
  });
});

describe("serializeSafetensors", () => {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

  test("writes the bytes that the reference writer writes", () => {
    const tensors = new Map([
      ["b", { shape: [2], data: Float32Array.of(1, 2) }],
      ["a", { shape: [1, 1], data: Float32Array.of(3) }],
    ]);
    const bytes = serializeSafetensors(tensors);
    const header =
      '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},' +
      '"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}';
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
    expect(text(bytes.subarray(8, 8 + padded.length))).toBe(padded);
    expect(new DataView(bytes.buffer).getBigUint64(0, true)).toBe(BigInt(padded.length));
    expect([...new Float32Array(bytes.slice(8 + padded.length).buffer)]).toEqual([3, 1, 2]);
  });

  test("names sort by their UTF-8 bytes, where UTF-16 would put an astral one first", () => {
    const empty = { shape: [0], data: new Float32Array(0) };
    const bytes = serializeSafetensors(
      new Map([
        ["\u{1f600}", empty],
        ["\uff5e", empty],
      ]),
    );
    expect(text(bytes).indexOf("\uff5e")).toBeLessThan(text(bytes).indexOf("\u{1f600}"));
  });

  test("refuses a shape that its data does not fill", () => {
    const tensors = new Map([["w", { shape: [2, 2], data: new Float32Array(3) }]]);
    expect(() => serializeSafetensors(tensors)).toThrow(/w: a tensor of shape \[2,2\] with 3 values/);
  });

  test("chunks view the data instead of copying it", () => {
    const data = Float32Array.of(1, 2, 3);
    const chunks = [...safetensorsChunks(new Map([["w", { shape: [3], data }]]))];
    expect(chunks).toHaveLength(2);
    expect(chunks[1].buffer).toBe(data.buffer);
  });

  const float = fc.float({ noDefaultInfinity: false });
  const tensor = fc.array(float, { maxLength: 9 }).map((values) => ({
    shape: values.length % 2 === 0 ? [2, values.length / 2] : [values.length],
    data: Float32Array.from(values),
  }));
  const name = fc.string({ unit: "binary" }).filter((s) => s !== "__metadata__");
  const model = fc.uniqueArray(fc.tuple(name, tensor), { selector: ([key]) => key, maxLength: 6 });

  test("what is written is read back bit for bit, in any order of insertion", () => {
    fc.assert(
      fc.property(model, fc.dictionary(fc.string(), fc.string()), (entries, metadata) => {
        const bytes = serializeSafetensors(new Map(entries), metadata);
        const back = parseSafetensors(bytes, FILE);
        expect(Object.fromEntries(back.metadata)).toEqual({ ...metadata });
        expect(back.tensors.size).toBe(entries.length);
        for (const [key, { shape, data }] of entries) {
          const found = back.tensors.get(key)!;
          expect(found.shape).toEqual(shape);
          expect(found.bytes).toEqual(new Uint8Array(data.buffer));
        }
        expect(serializeSafetensors(new Map([...entries].reverse()), metadata)).toEqual(bytes);
      }),
    );
  });
});

test("firstNonfinite finds NaN and both infinities by their place", () => {
  expect(firstNonfinite(Float32Array.of(0, -1, 3.4e38, 1e-45))).toBe(-1);
  expect(firstNonfinite(Float32Array.of(0, Number.NaN, 1))).toBe(1);
  expect(firstNonfinite(Float32Array.of(0, 1, Number.NEGATIVE_INFINITY))).toBe(2);
  expect(firstNonfinite(Float32Array.of(Number.POSITIVE_INFINITY))).toBe(0);
});
