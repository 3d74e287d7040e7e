// A text file as its bytes, decoded where and when it is read: the whole of it as a string would be up to twice its size, and every part of that string
// would keep it. The bytes are checked once, from the first to the last. A BOM is no text.

import { InputError } from "../errors.ts";

const [NEWLINE, RETURN] = [0x0a, 0x0d];
/** Bytes decoded at a time. */
const CHUNK = 1 << 16;
/** Encodings whose characters may hold bytes that mean something else here; in all others of TextDecoder's such bytes are 0x30 or more. */
const INSEPARABLE = /^(utf-16|iso-2022)/;

/** Bytes in which a row can be found: those of the file, or UTF-8 where a file's own cannot be taken apart. */
export class TextFile {
  readonly bytes: Uint8Array;
  /** Behind the BOM. */
  readonly start: number = 0;
  readonly #decoder: TextDecoder;
  #known = { at: 0, line: 1 };

  /** An error says where the bytes stop being in that encoding. */
  constructor(bytes: Uint8Array, file: string, encoding: string) {
    const name = encodingOf(encoding, file);
    let size = 0;
    const encoder = new TextEncoder();
    const recode = INSEPARABLE.test(name);
    try {
      for (const chunk of decoded(bytes, name)) if (recode) size += encoder.encode(chunk).length;
    } catch (cause) {
      throw badEncoding(bytes, file, name, cause);
    }
    this.bytes = recode ? new Uint8Array(size) : bytes;
    let at = 0;
    if (recode)
      for (const chunk of decoded(bytes, name)) at += encoder.encodeInto(chunk, this.bytes.subarray(at)).written;
    else if (name === "utf-8" && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) this.start = 3;
    const own = recode ? "utf-8" : name;
    // Of other encodings' decoders Node's take one byte 0xff for half a BOM if they are told to ignore one.
    this.#decoder = new TextDecoder(own, { ignoreBOM: own === "utf-8" });
  }

  slice(from: number, to: number): string {
    // A label, most often.
    if (to - from === 1 && this.bytes[from] < 0x80) return String.fromCharCode(this.bytes[from]);
    return this.#decoder.decode(this.bytes.subarray(from, to));
  }

  /** The line that a byte is on. Quick when one asks for one after the other. */
  lineAt(offset: number): number {
    let { at, line } = offset < this.#known.at ? { at: 0, line: 1 } : this.#known;
    for (; at < offset; at++) if (this.bytes[at] === NEWLINE) line++;
    this.#known = { at, line };
    return line;
  }

  /** Where the newline is, or the end. */
  lineEnd(from: number): number {
    const end = this.bytes.indexOf(NEWLINE, from);
    return end < 0 ? this.bytes.length : end;
  }

  /** Where a row ends that ends in front of there: a carriage return belongs to the newline behind it. */
  beforeReturn(from: number, end: number): number {
    return end > from && end < this.bytes.length && this.bytes[end - 1] === RETURN ? end - 1 : end;
  }
}

function* decoded(bytes: Uint8Array, encoding: string): Generator<string> {
  const decoder = new TextDecoder(encoding, { fatal: true });
  for (let at = 0; at < bytes.length; at += CHUNK)
    yield decoder.decode(bytes.subarray(at, at + CHUNK), { stream: true });
  yield decoder.decode();
}

/** Its name among TextDecoder's. */
function encodingOf(encoding: string, file: string): string {
  try {
    return new TextDecoder(encoding).encoding;
  } catch (cause) {
    throw new InputError(
      "UNKNOWN_ENCODING",
      `encoding "${encoding}" is not one that TextDecoder knows; try utf-8, latin1, utf-16le or windows-1251.`,
      { where: file, cause },
    );
  }
}

function badEncoding(bytes: Uint8Array, file: string, encoding: string, cause: unknown): InputError {
  const offset = validPrefix(bytes, encoding);
  let line = 1;
  for (let i = 0; i < offset; i++) if (bytes[i] === NEWLINE) line++;
  const mark = bytes[0] * 256 + bytes[1];
  const likely = mark === 0xfffe ? "utf-16le" : mark === 0xfeff ? "utf-16be" : "latin1";
  const advice =
    encoding === likely ? "Name the right one with --encoding." : `Try --encoding ${likely}, or convert it.`;
  const found = offset < bytes.length ? `0x${bytes[offset].toString(16).padStart(2, "0")}` : "the end of the file";
  return new InputError("BAD_ENCODING", `not ${encoding} at byte ${offset} (${found}). ${advice}`, {
    where: `${file}:${line}`,
    cause,
  });
}

/** How many bytes from the start are whole characters of the encoding. */
function validPrefix(bytes: Uint8Array, encoding: string): number {
  const decodes = (length: number, stream: boolean): boolean => {
    try {
      new TextDecoder(encoding, { fatal: true }).decode(bytes.subarray(0, length), { stream });
      return true;
    } catch {
      return false;
    }
  };
  // A streaming decoder forgives a character that is cut at the end, so "decodes" is monotone in the length.
  let good = 0;
  let bad = bytes.length + 1;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (decodes(middle, true)) good = middle;
    else bad = middle;
  }
  while (good > 0 && !decodes(good, false)) good--;
  return good;
}
