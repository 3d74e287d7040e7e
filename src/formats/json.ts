// Strict JSON (RFC 8259) for files that strangers wrote. Beyond JSON.parse it refuses duplicate keys (readers that
// disagree on which one wins can be played against each other), lone surrogates and deep nesting, says line and
// column, lets the caller see how a number is spelled, and keeps "__proto__" an ordinary key.
import type { ErrorCode } from "../errorCodes.ts";
import { InputError } from "../errors.ts";
import { quote } from "./files.ts";

export type JsonObject = { [key: string]: unknown };

export interface JsonOptions {
  /** The file, for messages. */
  where: string;
  /** Code of the errors; duplicate keys have their own. */
  code?: ErrorCode;
  /** Reads a number's spelling; Number by default. */
  number?: (token: string) => unknown;
}

const MAX_DEPTH = 128; // serde_json's limit

/** An object that inherits nothing. Object.create(null) says the same at half the speed (V8 keeps such objects as hash tables). */
class Bare {
  [key: string]: unknown;

  static {
    Object.setPrototypeOf(Bare.prototype, null);
    Reflect.deleteProperty(Bare.prototype, "constructor");
  }
}

/** Objects come back without anything inherited. */
export function parseJson(text: string, { where, code = "INVALID_JSON", number = Number }: JsonOptions): unknown {
  const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
  let at = 0;

  function fail(problem: string, offset = at, errorCode: ErrorCode = code): never {
    const before = text.slice(0, offset).split("\n");
    throw new InputError(errorCode, `${problem} at line ${before.length}, column ${before.at(-1)!.length + 1}.`, {
      where,
    });
  }

  function skipSpace(): void {
    for (;;) {
      const unit = text.charCodeAt(at);
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return;
      at++;
    }
  }

  function expected(what: string): never {
    if (at >= text.length) fail(`the JSON ends early: expected ${what}`);
    return fail(`expected ${what}, found ${quote(String.fromCodePoint(text.codePointAt(at)!))}`);
  }

  function readString(): string {
    const start = at;
    let escaped = false;
    at++;
    for (;;) {
      const unit = text.charCodeAt(at);
      if (unit === 0x22) break;
      if (Number.isNaN(unit)) fail("a string without its closing quote", start);
      if (unit < 0x20) fail("a control character inside a string");
      if (unit === 0x5c) escaped = true;
      at += unit === 0x5c ? 2 : 1;
    }
    at++;
    let value = text.slice(start + 1, at - 1);
    if (escaped) {
      try {
        value = JSON.parse(text.slice(start, at)) as string;
      } catch {
        fail("an unknown escape in a string", start);
      }
    }
    if (/\p{Surrogate}/u.test(value)) fail("half of a surrogate pair in a string", start);
    return value;
  }

  function readObject(depth: number): JsonObject {
    const object = new Bare();
    at++;
    skipSpace();
    if (text[at] === "}") {
      at++;
      return object;
    }
    for (;;) {
      if (text[at] !== '"') expected("a key in double quotes");
      const start = at;
      const key = readString();
      if (key in object) fail(`the key ${quote(key)} stands twice in one object`, start, "DUPLICATE_KEY");
      skipSpace();
      if (text[at] !== ":") expected('":"');
      at++;
      object[key] = readValue(depth);
      if (text[at] === "}") break;
      if (text[at] !== ",") expected('"," or "}"');
      at++;
      skipSpace();
    }
    at++;
    return object;
  }

  function readArray(depth: number): unknown[] {
    const array: unknown[] = [];
    at++;
    skipSpace();
    if (text[at] === "]") {
      at++;
      return array;
    }
    for (;;) {
      array.push(readValue(depth));
      if (text[at] === "]") break;
      if (text[at] !== ",") expected('"," or "]"');
      at++;
    }
    at++;
    return array;
  }

  function readWord(): unknown {
    for (const [word, value] of [
      ["true", true],
      ["false", false],
      ["null", null],
    ] as const) {
      if (!text.startsWith(word, at)) continue;
      at += word.length;
      return value;
    }
    numberPattern.lastIndex = at;
    const token = numberPattern.exec(text)?.[0];
    if (token === undefined) return expected("a value");
    at += token.length;
    return number(token);
  }

  /** One value with the space around it. */
  function readValue(depth: number): unknown {
    skipSpace();
    if (depth > MAX_DEPTH) fail(`more than ${MAX_DEPTH} levels of nesting`);
    const first = text[at];
    const value =
      first === "{"
        ? readObject(depth + 1)
        : first === "["
          ? readArray(depth + 1)
          : first === '"'
            ? readString()
            : readWord();
    skipSpace();
    return value;
  }

  const value = readValue(1);
  if (at < text.length) expected("the end of the JSON");
  return value;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** As JSON.stringify, but what is not finite, for which JSON has no number and that writes null, is told by its name: "NaN", "-Infinity". */
export function printJson(value: unknown, indent?: number): string {
  const named = (_: string, x: unknown) => (typeof x === "number" && !Number.isFinite(x) ? String(x) : x);
  return JSON.stringify(value, named, indent);
}
