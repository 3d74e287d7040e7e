import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseJson } from "../../src/formats/json.ts";

const where = "hostile.json";
const parse = (text: string) => parseJson(text, { where });

describe("parseJson refuses", () => {
  test.each([
    ["nothing at all", "", /ends early: expected a value at line 1, column 1/],
    ["a lone brace", "{", /ends early: expected a key in double quotes/],
    ["text after the value", "{} {}", /expected the end of the JSON, found "\{" at line 1, column 4/],
    ["a trailing comma", '{"a":1,}', /expected a key/],
    ["a trailing comma in a list", "[1,]", /expected a value, found "\]"/],
    ["single quotes", "{'a':1}", /expected a key/],
    ["NaN", "[NaN]", /expected a value, found "N"/],
    ["Infinity", "[-Infinity]", /expected a value, found "-"/],
    ["a leading zero", "[01]", /expected "," or "\]", found "1"/],
    ["a bare point", "[.5]", /expected a value/],
    ["a hex number", "[0x10]", /found "x"/],
    ["a comment", "[1] // one", /found "\/"/],
    ["a byte-order mark", "\ufeff{}", /expected a value/],
    ["a no-break space", "\u00a0{}", /expected a value/],
    ["a raw newline in a string", '["a\nb"]', /control character .* line 1, column 4/],
    ["an open string", '["abc', /without its closing quote at line 1, column 2/],
    ["an open escape", '["abc\\', /without its closing quote/],
    ["an unknown escape", '["\\x41"]', /unknown escape/],
    ["half a surrogate pair, escaped", '["\\ud800"]', /half of a surrogate pair/],
    ["half a surrogate pair, raw", '["\udc00"]', /half of a surrogate pair/],
  ])("%s", (_name, text, message) => {
    expect(() => parse(text)).toThrow(message);
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: "INVALID_JSON", where }));
  });

  test("a key that stands twice, with its own code and place", () => {
    const text = '{\n "a": 1,\n "\\u0061": 2}';
    expect(() => parse(text)).toThrow(/the key "a" stands twice in one object at line 3, column 2/);
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: "DUPLICATE_KEY" }));
    expect(parse('[{"a":1},{"a":2}]')).toHaveLength(2);
  });

  test("nesting beyond 128 levels, and not 128", () => {
    const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
    expect(() => parse(nested(128))).not.toThrow();
    expect(() => parse(nested(129))).toThrow(/more than 128 levels/);
    expect(() => parse("[".repeat(1_000_000))).toThrow(/more than 128 levels/);
  });
});

test("__proto__ is an ordinary key and changes no prototype", () => {
  const value = parse('{"__proto__": {"polluted": 1}, "constructor": 2}') as Record<string, unknown>;
  expect("toString" in value).toBe(false);
  expect(Object.keys(value)).toEqual(["__proto__", "constructor"]);
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

test("numbers reach the caller as they are spelled", () => {
  const spelled = parseJson("[1e3, -0, 9007199254740993, 1.0]", { where, number: (token) => token });
  expect(spelled).toEqual(["1e3", "-0", "9007199254740993", "1.0"]);
});

test("agrees with JSON.parse on everything that JSON.stringify writes", () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "binary" }), fc.nat(3), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      expect(JSON.stringify(parse(text))).toBe(JSON.stringify(JSON.parse(text)));
    }),
  );
});

test("accepts no text that JSON.parse refuses", () => {
  const piece = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    '"',
    "\\",
    "a",
    "0",
    "1",
    "-",
    ".",
    "e",
    "true",
    "null",
    " ",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = pieces.join("");
      let mine: unknown;
      try {
        mine = parse(text);
      } catch {
        return;
      }
      expect(JSON.stringify(mine)).toBe(JSON.stringify(JSON.parse(text)));
    }),
    { numRuns: 2000 },
  );
});
