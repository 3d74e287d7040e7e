// Seeded mutations of what parsers read: of bytes, of lines, numbers and words, of JSON as a tree (repeated keys included) and of the header
// of a safetensors file, whose length may be kept true. What comes out is a function of the random numbers alone.

import type { Random } from "../../src/random.ts";

/** Files by name: what a parser is given. */
export type Input = ReadonlyMap<string, Uint8Array>;

/** Longer files are not made, nor mutated: the work of a parser is looked at by growth.test.ts. */
export const LONGEST = 1 << 15;

const NUMBERS = [
  ...[
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "3",
    "7",
    "16",
    "127",
    "128",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
  ],
  ...["4294967295", "4294967296", "1000000000", "9007199254740991", "9007199254740993", "18446744073709551614"],
  ...[
    "1e3",
    "1.0",
    "0.5",
    "1e308",
    "1e999",
    "-1e999",
    "1e-400",
    "0.1e-7",
    "01",
    "+1",
    ".5",
    "1.",
    "NaN",
    "Infinity",
    "0x10",
  ],
];

const WORDS = [
  ...[
    "",
    " ",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "\0",
    ",",
    ";",
    ":",
    '"',
    '""',
    "'",
    "\\",
    "/",
    "{",
    "}",
    "[",
    "]",
    "{}",
    "[]",
    "#",
    "--",
    "=",
  ],
  ...[
    "null",
    "true",
    "false",
    "__proto__",
    "constructor",
    "prototype",
    "toString",
    "valueOf",
    "toJSON",
    "length",
    "hasOwnProperty",
  ],
  ...[
    "\\u0000",
    "\\ud800",
    "\\udc00\\ud800",
    "\\x",
    "\u00ad",
    "\u2028",
    "\u0085",
    "\ufeff",
    "\ufffd",
    "\u0301",
    "é",
    "ß",
    "İ",
    "Σ",
    "你",
    "😀",
    "👩‍👩‍👧",
  ],
  ...["../", "..", "/etc/passwd", "C:\\", "a/b", ".safetensors", "model.safetensors", "con", "-", "$(x)", "%s", "<!--"],
  ...["[CLS]", "[SEP]", "[UNK]", "[MASK]", "##", "label", "text", "version https://git-lfs.github.com/spec/v1\n"],
];

/** Bytes that are no UTF-8, and marks of other encodings. */
const BYTES = [
  [0xff],
  [0xff, 0xfe],
  [0xfe, 0xff],
  [0xc0, 0x80],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xe2, 0x82],
  [0x80],
];

const encoder = new TextEncoder();
const latin1 = new TextDecoder("latin1");

/** One to three mutations of one file of `input`; `others` lend what stands in them. */
export function mutate(random: Random, input: Input, others: readonly Input[], words: readonly string[]): Input {
  const names = [...input.keys()];
  const name = pick(random, names);
  let bytes = input.get(name) as Uint8Array;
  const known = [...WORDS, ...words];
  for (let left = 1 + random.below(3); left > 0; left--) {
    const other = pick(random, others).get(name) ?? bytes;
    const header = headerOf(bytes);
    // What has a structure is mostly changed within it: the rest seldom gets past the first character.
    const structured = (header !== undefined || bytes[0] === 0x7b || bytes[0] === 0x5b) && random.below(3) > 0;
    const kind = random.below(3);
    if (structured && header) bytes = mutateSafetensors(random, bytes, header, known);
    else if (structured) bytes = mutateJson(random, bytes, known) ?? mutateText(random, bytes, known);
    else if (kind === 0) bytes = mutateBytes(random, bytes, other);
    else if (kind === 1) bytes = mutateText(random, bytes, known);
    else bytes = mutateLines(random, bytes, other);
    if (bytes.length > LONGEST) bytes = bytes.subarray(0, LONGEST);
  }
  return new Map(input).set(name, bytes);
}

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[random.below(from.length)];
}

function join(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Where a part begins and ends; most parts are short. */
function range(random: Random, length: number): [from: number, to: number] {
  const from = random.below(length + 1);
  const most = random.below(4) === 0 ? length - from : Math.min(16, length - from);
  return [from, from + random.below(most + 1)];
}

function mutateBytes(random: Random, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  const [from, to] = range(random, bytes.length);
  const [before, part, after] = [bytes.subarray(0, from), bytes.subarray(from, to), bytes.subarray(to)];
  switch (random.below(8)) {
    case 0: {
      const copy = bytes.slice();
      if (copy.length > 0) copy[random.below(copy.length)] ^= 1 << random.below(8);
      return copy;
    }
    case 1:
      return join(before, [random.below(256)], after);
    case 2:
      return join(before, after);
    case 3:
      return join(before, part, part, after);
    case 4:
      return join(before, ...Array.from({ length: 1 + random.below(200) }, () => part), after);
    case 5:
      return before;
    case 6:
      return join(before, pick(random, BYTES), after);
    default: {
      const [start, end] = range(random, other.length);
      return join(before, other.subarray(start, end), after);
    }
  }
}

/** Bytes as characters and back: whatever is no text stays as it is. */
const textOf = (bytes: Uint8Array) => latin1.decode(bytes);
const bytesOf = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

function mutateText(random: Random, bytes: Uint8Array, words: readonly string[]): Uint8Array {
  const [from, to] = range(random, bytes.length);
  if (random.below(2) === 0)
    return join(bytes.subarray(0, from), encoder.encode(pick(random, words)), bytes.subarray(to));
  // A number, or what stands between quotes, becomes another.
  const pattern = random.below(2) === 0 ? /-?\d+(\.\d+)?/g : /[\w.-]+/g;
  const found = [...textOf(bytes).matchAll(pattern)];
  if (found.length === 0) return bytes;
  const { 0: old, index } = pick(random, found);
  const fresh = encoder.encode(pick(random, random.below(2) === 0 ? NUMBERS : words));
  return join(bytes.subarray(0, index), fresh, bytes.subarray(index + old.length));
}

function mutateLines(random: Random, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  const lines = textOf(bytes).split("\n");
  const at = random.below(lines.length);
  switch (random.below(6)) {
    case 0:
      lines.splice(at, 1);
      break;
    case 1:
      lines.splice(at, 0, lines[at]);
      break;
    case 2:
      lines.splice(at, 0, pick(random, textOf(other).split("\n")));
      break;
    case 3:
      lines.splice(random.below(lines.length), 0, ...lines.splice(at, 1));
      break;
    case 4:
      lines[at] = `${lines[at]}\r`;
      break;
    default:
      lines.splice(at, 0, ...Array.from({ length: random.below(300) }, () => lines[at]));
  }
  return bytesOf(lines.join("\n"));
}

/** JSON as a tree in which an object may have a key twice, and a leaf may be spelled wrongly. */
type Tree =
  | { kind: "object"; entries: [string, Tree][] }
  | { kind: "array"; items: Tree[] }
  | { kind: "leaf"; text: string };

function treeOf(value: unknown): Tree {
  if (Array.isArray(value)) return { kind: "array", items: value.map(treeOf) };
  if (typeof value !== "object" || value === null) return { kind: "leaf", text: JSON.stringify(value) };
  return { kind: "object", entries: Object.entries(value).map(([key, own]) => [key, treeOf(own)]) };
}

function spell(tree: Tree): string {
  if (tree.kind === "leaf") return tree.text;
  if (tree.kind === "array") return `[${tree.items.map(spell).join(",")}]`;
  return `{${tree.entries.map(([key, own]) => `${JSON.stringify(key)}:${spell(own)}`).join(",")}}`;
}

function mutateJson(random: Random, bytes: Uint8Array, words: readonly string[]): Uint8Array | undefined {
  const text = new TextDecoder().decode(bytes);
  // One line of many may be JSON as well.
  const lines = text.split("\n");
  const at = random.below(lines.length);
  for (const [candidate, put] of [
    [text, (own: string) => own],
    [lines[at], (own: string) => lines.with(at, own).join("\n")],
  ] as const) {
    let value: unknown;
    try {
      if (depthOf(candidate) > 500) continue;
      value = JSON.parse(candidate);
    } catch {
      continue;
    }
    return encoder.encode(put(spell(mutateTree(random, treeOf(value), words))));
  }
  return undefined;
}

/** Brackets that are open at once, at most: deeper trees are not walked. */
function depthOf(text: string): number {
  let [open, most] = [0, 0];
  for (const character of text) {
    if (character === "[" || character === "{") most = Math.max(most, ++open);
    else if (character === "]" || character === "}") open--;
  }
  return most;
}

function mutateTree(random: Random, tree: Tree, words: readonly string[]): Tree {
  // Downwards to a random place; the deeper, the likelier to stop.
  const children = tree.kind === "object" ? tree.entries.length : tree.kind === "array" ? tree.items.length : 0;
  if (children > 0 && random.below(4) > 0) {
    const i = random.below(children);
    if (tree.kind === "object") tree.entries[i][1] = mutateTree(random, tree.entries[i][1], words);
    else if (tree.kind === "array") tree.items[i] = mutateTree(random, tree.items[i], words);
    return tree;
  }
  const choice = random.below(9);
  if (tree.kind === "object" && children > 0 && choice < 5) {
    const i = random.below(children);
    const [key, own] = tree.entries[i];
    if (choice === 0) tree.entries.splice(i, 1);
    else if (choice === 1) tree.entries.push([key, own]);
    else if (choice === 2) tree.entries[i] = [pick(random, words), own];
    else if (choice === 3) tree.entries.push([pick(random, words), leaf(random, words)]);
    else tree.entries[i] = [key, tree.entries[random.below(children)][1]];
    return tree;
  }
  if (tree.kind === "array" && children > 0 && choice < 4) {
    const i = random.below(children);
    if (choice === 0) tree.items.splice(i, 1);
    else if (choice === 1) tree.items.push(tree.items[i]);
    else if (choice === 2) tree.items.push(leaf(random, words));
    else tree.items.splice(i, 0, ...Array.from({ length: random.below(100) }, () => tree.items[i]));
    return tree;
  }
  if (choice === 5) return nested(tree, 1 + random.below(random.below(4) === 0 ? 1000 : 3));
  if (choice === 6) return { kind: "array", items: [] };
  if (choice === 7) return { kind: "object", entries: [[pick(random, words), tree]] };
  return leaf(random, words);
}

function nested(tree: Tree, depth: number): Tree {
  return { kind: "leaf", text: `${"[".repeat(depth)}${spell(tree)}${"]".repeat(depth)}` };
}

function leaf(random: Random, words: readonly string[]): Tree {
  const text = [
    () => pick(random, NUMBERS),
    () => JSON.stringify(pick(random, words)),
    () => pick(random, ["null", "true", "false", "{}", "[]", '""', "nul", "'x'"]),
    () => `"${pick(random, words)}"`,
  ];
  return { kind: "leaf", text: pick(random, text)() };
}

/** End of a safetensors header, if there plausibly is one. */
function headerOf(bytes: Uint8Array): number | undefined {
  if (bytes.length < 10 || bytes[8] !== 0x7b) return undefined;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  return 8 + length <= bytes.length ? 8 + length : undefined;
}

function mutateSafetensors(random: Random, bytes: Uint8Array, end: number, words: readonly string[]): Uint8Array {
  let data = bytes.subarray(end);
  let header = bytes.subarray(8, end);
  if (random.below(4) === 0)
    data = random.below(2) === 0 ? join(data, new Uint8Array(random.below(9))) : data.subarray(1);
  else header = mutateJson(random, header, words) ?? mutateText(random, header, words);
  const file = join(new Uint8Array(8), header, data);
  const view = new DataView(file.buffer);
  view.setUint32(0, header.length, true);
  if (random.below(8) === 0)
    view.setBigUint64(0, BigInt.asUintN(64, BigInt(pick(random, [0, 1, -1, 2 ** 32, 2 ** 53, 1e8, 1e8 + 1]))), true);
  return file;
}
